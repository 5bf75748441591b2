"""One training run on disk: trained, resumed, reported, and used to predict.

    prepared_run ─► train_run ─► checkpoint, metrics_csv, result ─► run_report, curve_figure
    run folder ─► predictor

`own_data` and `vocabulary` turn the user's own values into tokens.
"""

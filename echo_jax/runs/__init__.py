"""One training run on disk: trained, resumed, reported, and used to predict.

    prepared_run ─► train_run ─► result, run_file ─► run_report, curve_figure
    run folder ─► predictor

`own_data` and `vocabulary` turn the user's own values into tokens.
"""

"""One training run on disk: trained, resumed, reported, and used to predict.

    prepared_run ─► train_run ─► result, run_file ─► run_report, curve_figure
    run folder ─► predictor

`own_data` is for runs on the user's own values.
"""

"""One training run on disk: trained, resumed, reported, and used to predict.

checkpoint, run_folder           the run on disk
train_call, _setup, _run         the call, the run before it starts, the loop over chunks
result, scoring, result_report   its scores; from an evaluation to them; as text and as curves
explanation, advice              why it ended so, and what to run next
predictor, predictor_states      its networks in use, and what their states show
own_data                         values of the user's own
data_views                       what a network is fed, as text
play_page                        the page in which its LSTM runs, of the files in `play`
"""

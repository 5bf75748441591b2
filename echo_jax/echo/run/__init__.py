"""One training run on disk: trained, resumed, reported, and used to predict.

checkpoint, run_folder           the run on disk
train_call, train_run            the call, and the run that it checks, trains and writes
result, scoring, result_report   the scores, how they are computed, and how they are shown
explanation, advice              why it ended so, and what to run next
predictor, predictor_states      its networks in use, and what their states show
own_data                         the user's own values
printed_data                     what a network is fed, as text
play_page                        the page in which its LSTM runs, made from the files in `play`
"""

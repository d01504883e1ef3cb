"""The replayer: executes runs. It resends, replays and redrives deliveries, each run in its own transactions."""

"""End-to-end tests: a real API server, kubelet and Prometheus, the operator and the flag server as the chart installs them."""

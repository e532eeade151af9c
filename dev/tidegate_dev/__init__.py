"""The local Kubernetes cluster on which Tidegate is developed, demonstrated and tested."""

module tidegate.io/dev/pause

go 1.27.3

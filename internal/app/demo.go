package app

import "context"

func loadDemo(context.Context, *process) (int, error) { return 0, nil }

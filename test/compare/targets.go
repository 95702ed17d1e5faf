package main

// target is one thing that is to be shown: a ratio, or a number, and its bound. Without a bound it is told for comparison.
type target struct {
	name   string
	bound  float64
	atMost bool // otherwise at least
	values func(results map[string]map[string][]sample) []float64
	format func(float64) string
}

// Ways to a target's values, one a round.
func ratioOf(measure, peer string, number func(sample) float64) func(map[string]map[string][]sample) []float64 {
	return func(r map[string]map[string][]sample) []float64 {
		return ratios(r[measure][stated], r[measure][peer], number)
	}
}

func measureRatio(a, b string) func(map[string]map[string][]sample) []float64 {
	return func(r map[string]map[string][]sample) []float64 {
		return ratios(r[a][stated], r[b][stated], perSecond)
	}
}

var targets = []target{
	{"in-process saves, 64 goroutines : naive pattern", 15, false, ratioOf(saves64, naive, perSecond), plain},
	{"in-process saves, 64 goroutines : Pebble Set Sync", 0.7, false, ratioOf(saves64, pebble, perSecond), plain},
	{"p99 of in-process saves, 64 goroutines : Pebble's p99", 1, true, ratioOf(saves64, pebble, p99), plain},
	{"daemon saves, 64 connections, no pipeline : Redis always", 0.8, false, ratioOf(set64, redis, perSecond), plain},
	{"daemon saves, 64 connections, pipeline of 16 : Redis always", 0.4, false, ratioOf(set64x16, redis, perSecond), plain},
	{"in-process loads, 64 goroutines : naive pool reads", 3, false, ratioOf(loads64, naive, perSecond), plain},
	{"daemon GET, 64 connections : Redis GET", 0.8, false, ratioOf(get64, redis, perSecond), plain},
	{"one caller's save : one bare fsynced commit, mean time", 1.3, true, ratioOf(saves1, bareDriver, meanTime), plain},
	{"one caller's save : one bare fsynced commit, median time", 1.3, true, ratioOf(saves1, bareDriver, p50), plain},
	{"saves with 1,000,000 agents : with 10,000", 0.5, false, measureRatio(largeSaves64, saves64), plain},
	{
		"resident memory of the daemon, 1,000,000 agents of 1 KiB under load", 200e6, true,
		func(r map[string]map[string][]sample) []float64 { return each(r[largeResident][stated], bytes64) }, megabytes,
	},
	{"in-process saves, 64 goroutines : bbolt Batch", 0, false, ratioOf(saves64, bbolt, perSecond), plain},
	{"in-process saves, 256 goroutines : Pebble Set Sync", 0, false, ratioOf(saves256, pebble, perSecond), plain},
	{"in-process loads, 64 goroutines : bbolt View", 0, false, ratioOf(loads64, bbolt, perSecond), plain},
	{
		"in-process saves, 64 goroutines : the bare driver, 64 upserts in a transaction", 0, false,
		func(r map[string]map[string][]sample) []float64 {
			return ratios(r[saves64][stated], r[bare64][bareDriver], perSecond)
		}, plain,
	},
}

// boundText is the bound as the table shows it.
func (t target) boundText() string {
	switch {
	case t.bound == 0:
		return ""
	case t.atMost:
		return "≤ " + t.format(t.bound)
	default:
		return "≥ " + t.format(t.bound)
	}
}

// verdict says whether the median keeps the bound.
func (t target) verdict(median float64) string {
	switch {
	case t.bound == 0:
		return ""
	case t.atMost && median <= t.bound, !t.atMost && median >= t.bound:
		return "met"
	default:
		return "missed"
	}
}

package main

// target is one thing that is to be shown: a ratio, or a number, and its bound.
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
	{"one caller's save : one bare fsynced commit, in time", 1.3, true, ratioOf(saves1, bareDriver, meanTime), plain},
	{"saves with 1,000,000 agents : with 10,000", 0.5, false, measureRatio(largeSaves64, saves64), plain},
	{
		"resident memory of the daemon, 1,000,000 agents of 1 KiB under load", 200e6, true,
		func(r map[string]map[string][]sample) []float64 { return each(r[largeResident][stated], bytes64) }, megabytes,
	},
}

// met says whether the median keeps the bound.
func (t target) met(median float64) bool {
	if t.atMost {
		return median <= t.bound
	}
	return median >= t.bound
}

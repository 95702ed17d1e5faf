package main

import "slices"

// spread is what several rounds gave.
type spread struct{ median, min, max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	s := spread{median: v[mid], min: v[0], max: v[len(v)-1]}
	if len(v)%2 == 0 {
		s.median = (v[mid-1] + v[mid]) / 2
	}
	return s
}

// each gives one number of every sample.
func each(samples []sample, number func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = number(s)
	}
	return out
}

// ratios divides round by round: what is compared has run in the same minute. The rounds have to be as many.
func ratios(a, b []sample, number func(sample) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = number(a[i]) / number(b[i])
	}
	return out
}

func perSecond(s sample) float64   { return s.PerSecond }
func p50(s sample) float64         { return float64(s.P50) }
func p99(s sample) float64         { return float64(s.P99) }
func meanTime(s sample) float64    { return float64(s.mean()) }
func cpu(s sample) float64         { return float64(s.CPU) }
func longestTime(s sample) float64 { return float64(s.Max) }
func failures(s sample) float64    { return float64(s.Failed) }
func bytes64(s sample) float64     { return float64(s.Bytes) }

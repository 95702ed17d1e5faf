package bench_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/protocol"
)

// options are those of a small run that is in order.
func options() bench.Options {
	return bench.Options{
		Workload: bench.Save, Clients: 4, Pipeline: 1, Ops: 3, Agents: 50, Size: bench.Size{Least: 100, Most: 100},
		Duration: time.Second, Seed: 1, Timeout: time.Minute,
	}
}

func TestOptions_Check(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*bench.Options)
		want   string // in the message; empty: it is in order
	}{
		"as they are":          {func(*bench.Options) {}, ""},
		"load":                 {func(o *bench.Options) { o.Workload = bench.Load }, ""},
		"mixed":                {func(o *bench.Options) { o.Workload = bench.Mixed }, ""},
		"txn":                  {func(o *bench.Options) { o.Workload = bench.Txn }, ""},
		"no workload":          {func(o *bench.Options) { o.Workload = "" }, "[save load mixed txn]"},
		"unknown workload":     {func(o *bench.Options) { o.Workload = "Save" }, `workload "Save"`},
		"no clients":           {func(o *bench.Options) { o.Clients = 0 }, "clients 0"},
		"most clients":         {func(o *bench.Options) { o.Clients = 100_000 }, ""},
		"too many clients":     {func(o *bench.Options) { o.Clients = 100_001 }, "clients 100001"},
		"no pipeline":          {func(o *bench.Options) { o.Pipeline = 0 }, "pipeline 0"},
		"long pipeline":        {func(o *bench.Options) { o.Pipeline = 1025 }, "pipeline 1025"},
		"no ops":               {func(o *bench.Options) { o.Ops = 0 }, "ops 0"},
		"too many ops":         {func(o *bench.Options) { o.Ops = protocol.MaxTxnOps + 1 }, "ops 1025"},
		"no agents":            {func(o *bench.Options) { o.Agents = 0 }, "agents 0"},
		"most agents":          {func(o *bench.Options) { o.Agents = 999_999_999_999 }, ""},
		"too many agents":      {func(o *bench.Options) { o.Agents = 1_000_000_000_000 }, "agents 1000000000000"},
		"skew":                 {func(o *bench.Options) { o.Skew = 1.1 }, ""},
		"skew of 1":            {func(o *bench.Options) { o.Skew = 1 }, "skew 1"},
		"negative skew":        {func(o *bench.Options) { o.Skew = -2 }, "skew -2"},
		"skew far above":       {func(o *bench.Options) { o.Skew = math.Inf(1) }, "skew +Inf"},
		"skew that is none":    {func(o *bench.Options) { o.Skew = math.NaN() }, "skew NaN"},
		"one byte":             {func(o *bench.Options) { o.Size = bench.Size{Least: 1, Most: 1} }, ""},
		"no size":              {func(o *bench.Options) { o.Size = bench.Size{} }, "size 0 B"},
		"sizes turned round":   {func(o *bench.Options) { o.Size = bench.Size{Least: 200, Most: 100} }, "size 200 B to 100 B"},
		"a huge size":          {func(o *bench.Options) { o.Size.Most = 513 << 20 }, "513 MiB"},
		"requests, no time":    {func(o *bench.Options) { o.Requests, o.Duration = 1, 0 }, ""},
		"nothing to measure":   {func(o *bench.Options) { o.Duration = 0 }, "nothing to measure"},
		"less than nothing":    {func(o *bench.Options) { o.Requests = -1 }, "nothing to measure"},
		"a warm-up before now": {func(o *bench.Options) { o.Warmup = -1 }, "warm-up -1ns"},
		"no time for requests": {func(o *bench.Options) { o.Timeout = 0 }, "timeout 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			tc.change(&o)
			err := o.Check()
			if tc.want == "" && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			if tc.want != "" && (!errors.Is(err, protocol.CodeInvalid) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want INVALID with %q", err, tc.want)
			}
		})
	}
}

func TestSize_String(t *testing.T) {
	for want, s := range map[string]bench.Size{
		"1 KiB": {1024, 1024}, "100 B to 64 KiB": {100, 64 << 10}, "1 MiB to 3 MiB": {1 << 20, 3 << 20}, "15 kB": {15_000, 15_000},
		"0 B": {}, "1025 B": {1025, 1025},
	} {
		if got := s.String(); got != want {
			t.Errorf("%d to %d bytes: got %q, want %q", s.Least, s.Most, got, want)
		}
	}
}

package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"
)

func drawn(o Options, stream uint64) *draw {
	if o.Agents == 0 {
		o.Agents = 1000
	}
	if o.Size == (Size{}) {
		o.Size = Size{100, 100}
	}
	return newDraw(&o, stream, newText(&o))
}

func TestAgentID(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "stated-bench:000000000000", 1234567: "stated-bench:000001234567", 999_999_999_999: "stated-bench:999999999999",
	} {
		if got := agentID(n); got != want || !isOwn(got) {
			t.Errorf("agent %d: got %q, own: %v, want %q", n, got, isOwn(got), want)
		}
	}
	for _, id := range []string{"", "a", Prefix, Prefix + "00000000000", Prefix + "0000000000000", Prefix + "00000000000x", "stated-bunch:000000000000"} {
		if isOwn(id) {
			t.Errorf("%q counts as one of a benchmark", id)
		}
	}
}

// TestDraw_id draws each agent about as often as any other, and no others.
func TestDraw_id(t *testing.T) {
	const agents, each = 100, 200
	d, counts := drawn(Options{Agents: agents, Seed: 7}, 1), map[string]int{}
	for range agents * each {
		counts[d.id()]++
	}
	for n := range uint64(agents) {
		// Seven times the standard deviation; the seed is fixed.
		if got := counts[agentID(n)]; math.Abs(float64(got-each)) > 7*math.Sqrt(each) {
			t.Errorf("agent %d was drawn %d times, others %d", n, got, each)
		}
	}
	if len(counts) != agents {
		t.Errorf("%d agents were drawn, of %d", len(counts), agents)
	}
}

// TestDraw_idSkewed draws by Zipf's law: the most popular one (1+1)^s times as often as the next.
func TestDraw_idSkewed(t *testing.T) {
	const agents, draws, skew = 1000, 100_000, 1.5
	d, counts := drawn(Options{Agents: agents, Skew: skew, Seed: 7}, 1), map[string]float64{}
	for range draws {
		id := d.id()
		if !isOwn(id) || id >= agentID(agents) {
			t.Fatalf("drawn: %q", id)
		}
		counts[id]++
	}
	first, second := counts[agentID(0)], counts[agentID(d.step)]
	if ratio, want := first/second, math.Pow(2, skew); math.Abs(ratio-want) > 0.1*want {
		t.Errorf("the first was drawn %v times, the second %v: %.2f to 1, want %.2f", first, second, ratio, want)
	}
	if first < 0.3*draws {
		t.Errorf("the most popular was drawn %v times of %d", first, draws)
	}
}

// TestDraw_one has one agent alone, with and without a skew.
func TestDraw_one(t *testing.T) {
	for _, skew := range []float64{0, 1.1, 100} {
		d := drawn(Options{Agents: 1, Skew: skew}, 1)
		for range 10 {
			if got := d.id(); got != agentID(0) {
				t.Errorf("skew %v: got %q", skew, got)
			}
		}
	}
}

// TestCoprime spreads the ranks over all agents, each on one of its own, and two that follow each other far apart.
func TestCoprime(t *testing.T) {
	for n := uint64(1); n <= 300; n++ {
		step, seen := coprime(n), map[uint64]bool{}
		for rank := range n {
			seen[rank*step%n] = true
		}
		if len(seen) != int(n) {
			t.Errorf("%d agents, step %d: only %d are reached", n, step, len(seen))
		}
	}
	if got := coprime(1_000_000); got != 618_033 {
		t.Errorf("of a million agents the second one is number %d", got)
	}
}

// TestDraw_ranked has more agents than 64 bits can multiply by.
func TestDraw_ranked(t *testing.T) {
	d := drawn(Options{Agents: maxAgents, Skew: 1.1}, 1)
	for _, rank := range []uint64{0, 1, 2, 1 << 30, maxAgents / 2, maxAgents - 1} {
		want := new(big.Int).SetUint64(rank)
		want.Mul(want, new(big.Int).SetUint64(d.step)).Mod(want, big.NewInt(maxAgents))
		if got := d.ranked(rank); got != want.Uint64() {
			t.Errorf("rank %d: got agent %d, want %d", rank, got, want)
		}
	}
}

func TestDraw_state(t *testing.T) {
	for _, n := range []int{1, 2, 11, 12, 13, 100, 1024, 100_000} {
		d := drawn(Options{Size: Size{n, n}}, 1)
		distinct := map[string]bool{}
		for range 20 {
			state := d.state()
			if len(state) != n || !json.Valid(state) {
				t.Fatalf("want JSON of %d bytes, got %d: %.40s", n, len(state), state)
			}
			distinct[string(state)] = true
		}
		if n > 12 && len(distinct) < 15 {
			t.Errorf("%d bytes: only %d of 20 states differ", n, len(distinct))
		}
	}
}

// TestDraw_bytes spreads sizes so that each power of two is as likely as the next.
func TestDraw_bytes(t *testing.T) {
	const draws = 60_000
	d, counts := drawn(Options{Size: Size{1 << 10, 64 << 10}, Seed: 5}, 1), map[int]int{}
	for range draws {
		n := d.bytes()
		if n < 1<<10 || n > 64<<10 {
			t.Fatalf("drawn: %d bytes", n)
		}
		counts[int(math.Log2(float64(n)))]++
	}
	for power := 10; power < 16; power++ {
		if got := counts[power]; got < draws/6*95/100 || got > draws/6*105/100 {
			t.Errorf("%d to %d bytes: drawn %d times, want about %d", 1<<power, 2<<power, got, draws/6)
		}
	}
}

// TestDraw_seed repeats what it drew with the same seed and stream, and nothing else does.
func TestDraw_seed(t *testing.T) {
	sequence := func(seed, stream uint64) string {
		d, text := drawn(Options{Seed: seed, Size: Size{50, 90}}, stream), ""
		for range 5 {
			text += fmt.Sprintf("%s %s ", d.id(), d.state())
		}
		return text
	}
	if first := sequence(1, 1); first != sequence(1, 1) || first == sequence(2, 1) || first == sequence(1, 2) {
		t.Error("the seed and the stream do not settle what is drawn")
	}
}

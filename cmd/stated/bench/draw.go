package bench

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// Prefix is what the ids of a benchmark's agents begin with. Twelve digits follow.
const Prefix = "stated-bench:"

const idDigits = 12

// agentID names an agent by its number.
func agentID(n uint64) string {
	id := make([]byte, len(Prefix)+idDigits)
	copy(id, Prefix)
	for i := len(id) - 1; i >= len(Prefix); i-- {
		id[i] = byte('0' + n%10)
		n /= 10
	}
	return string(id)
}

// isOwn reports whether the id is one that agentID gives.
func isOwn(id string) bool {
	if len(id) != len(Prefix)+idDigits || id[:len(Prefix)] != Prefix {
		return false
	}
	for _, c := range id[len(Prefix):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// draw chooses the agents and makes the states of one client.
type draw struct {
	rng    *rand.Rand
	zipf   *rand.Zipf // nil: uniform
	agents uint64
	step   uint64 // from one rank of popularity to the next, so that the popular ones are not neighbours in the file
	size   Size
	text   []byte // shared by all clients
}

func newDraw(o *Options, stream uint64, text []byte) *draw {
	d := &draw{rng: newRand(o.Seed, stream), agents: uint64(o.Agents), size: o.Size, text: text} //nolint:gosec // checked
	if o.Skew != 0 {
		d.zipf = rand.NewZipf(d.rng, o.Skew, 1, d.agents-1)
		d.step = coprime(d.agents)
	}
	return d
}

// coprime gives a number that shares no factor with n, so that its multiples reach every number below n.
func coprime(n uint64) uint64 {
	const golden = 0.6180339887
	step := max(1, uint64(float64(n)*golden))
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// id chooses an agent.
func (d *draw) id() string {
	if d.zipf == nil {
		return agentID(d.rng.Uint64N(d.agents))
	}
	return agentID(d.ranked(d.zipf.Uint64()))
}

// ranked gives the agent with this rank of popularity.
func (d *draw) ranked(rank uint64) uint64 {
	high, low := bits.Mul64(rank, d.step)
	return bits.Rem64(high, low, d.agents)
}

// bytes chooses a size.
func (d *draw) bytes() int {
	if d.size.Least == d.size.Most {
		return d.size.Least
	}
	low, high := math.Log(float64(d.size.Least)), math.Log(float64(d.size.Most))
	n := int(math.Round(math.Exp(low + d.rng.Float64()*(high-low))))
	return min(max(n, d.size.Least), d.size.Most)
}

const (
	stateHead = `{"notes":"`
	stateTail = `"}`
	variety   = 4 << 10 // places at which the text of a state can begin
)

// newText gives what the notes of all states are cut from: letters and digits, which nothing compresses to much less.
func newText(o *Options) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -"
	rng := newRand(o.Seed, 0)
	text := make([]byte, o.Size.Most+variety)
	for i := range text {
		text[i] = letters[rng.IntN(len(letters))]
	}
	return text
}

// state makes a JSON document of a size that it chooses, exactly. Below that of the smallest object it is a number.
func (d *draw) state() []byte {
	n := d.bytes()
	if n < len(stateHead)+len(stateTail) {
		return fmt.Appendf(nil, "%d", d.rng.Int64N(9*pow10(n-1))+pow10(n-1))
	}
	state := make([]byte, n)
	copy(state, stateHead)
	copy(state[len(stateHead):n-len(stateTail)], d.text[d.rng.IntN(variety):])
	copy(state[n-len(stateTail):], stateTail)
	return state
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

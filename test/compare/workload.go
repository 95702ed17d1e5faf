package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// stateBytes is the length of every state.
const stateBytes = 1024

// agentID names an agent as redis-benchmark does in the place of agent:__rand_int__.
func agentID(n int) string { return fmt.Sprintf("agent:%012d", n) }

// words are what a state is made of, so that a store that compresses does not find one byte a thousand times.
var words = strings.Fields(`agent answer ask before city door east find garden hand ice journey keep letter market night
	open paper quiet river stone tower under village water yellow north walk trade rumour harvest bridge`)

// newState gives a JSON document of stateBytes bytes: some facts and a memory of short lines.
func newState(r *rand.Rand) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"turn":%d,"mood":%.3f,"place":[%d,%d],"alive":true,"memory":[`, r.IntN(1e6), r.Float64(), r.IntN(999), r.IntN(999))
	for b.Len() < stateBytes-120 {
		fmt.Fprintf(&b, `{"at":%d,"text":"%s %s %s %x"},`, r.IntN(1e6),
			words[r.IntN(len(words))], words[r.IntN(len(words))], words[r.IntN(len(words))], r.Uint64())
	}
	b.WriteString(`"`)
	for b.Len() < stateBytes-len(`"]}`) {
		b.WriteByte(byte('a' + r.IntN(26)))
	}
	b.WriteString(`"]}`)
	return []byte(b.String())
}

// newStates gives some states to choose from; making one for each save would cost more than many a save.
func newStates(r *rand.Rand) [][]byte {
	states := make([][]byte, 512)
	for i := range states {
		states[i] = newState(r)
	}
	return states
}

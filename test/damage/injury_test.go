package damage

import (
	"fmt"
	"math/rand/v2"
)

// injury damages the bytes of a file, at a place that it draws, and tells what it did.
type injury struct {
	name string
	do   func(r *rand.Rand, file []byte, page int) ([]byte, string)
}

var injuries = []injury{
	{"bit", func(r *rand.Rand, file []byte, _ int) ([]byte, string) {
		at, bit := r.IntN(len(file)), r.IntN(8)
		file[at] ^= 1 << bit
		return file, fmt.Sprintf("bit %d of byte %d", bit, at)
	}},
	{"byte", func(r *rand.Rand, file []byte, _ int) ([]byte, string) {
		at, value := r.IntN(len(file)), byte(r.IntN(256))
		file[at] = value
		return file, fmt.Sprintf("byte %d set to %d", at, value)
	}},
	{"sector lost", func(r *rand.Rand, file []byte, _ int) ([]byte, string) { return blank(r, file, 512) }},
	{"sector of noise", func(r *rand.Rand, file []byte, _ int) ([]byte, string) { return noise(r, file, 512) }},
	{"page lost", blank},
	{"page of noise", noise},
	{"pages swapped", func(r *rand.Rand, file []byte, page int) ([]byte, string) {
		n := len(file) / page
		a, b := r.IntN(n), r.IntN(n)
		for i := range page {
			file[a*page+i], file[b*page+i] = file[b*page+i], file[a*page+i]
		}
		return file, fmt.Sprintf("pages %d and %d", a, b)
	}},
	{"cut", func(r *rand.Rand, file []byte, _ int) ([]byte, string) {
		n := r.IntN(len(file))
		return file[:n], fmt.Sprintf("to %d of %d bytes", n, len(file))
	}},
	{"cut at a page", func(r *rand.Rand, file []byte, page int) ([]byte, string) {
		n := r.IntN(len(file)/page) * page
		return file[:n], fmt.Sprintf("to %d of %d bytes", n, len(file))
	}},
}

func blank(r *rand.Rand, file []byte, size int) ([]byte, string) {
	at := r.IntN(len(file)/size) * size
	clear(file[at : at+size])
	return file, fmt.Sprintf("%d bytes from %d", size, at)
}

func noise(r *rand.Rand, file []byte, size int) ([]byte, string) {
	at := r.IntN(len(file)/size) * size
	for i := range size {
		file[at+i] = byte(r.Uint32())
	}
	return file, fmt.Sprintf("%d bytes from %d", size, at)
}

//go:build !system

package damage

const thorough = false

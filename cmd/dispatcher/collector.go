package main

import "runtime/debug"

// often is how far the heap may grow between two garbage collections, in percent
// of what is in use. This program is mostly what it remembers of pods, and makes
// little garbage: at Go's own 100 it would take half as much memory again for a
// saving of processor time that nobody notices.
const often = 50

// collectOften sets the collector up, unless GOGC says what is wanted.
func collectOften(lookupEnv func(string) (string, bool)) {
	if _, isSet := lookupEnv("GOGC"); !isSet {
		debug.SetGCPercent(often)
	}
}

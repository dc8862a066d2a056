// Package soak runs jobs for a long time while faults happen at random, and looks
// whether the dispatcher is afterwards what it was before.
package soak

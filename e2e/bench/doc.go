// Package bench measures the mutator beside what controller-runtime offers for
// the same work, in one run and in turns, so that the ratios hold on any machine.
package bench

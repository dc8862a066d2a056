// Package crash kills dispatchers at random while they work, and asks the oracle
// whether every job has been acquired once and finished once all the same.
package crash

// Package startbench measures how long a trivial job takes from its pod's
// creation to its end, in pods of several shapes, side by side on one cluster.
package startbench

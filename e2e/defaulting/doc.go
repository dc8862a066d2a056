// Package defaulting takes injected pods through the API server's defaults, as
// happens between two admissions of one pod, and asks the mutator again. It has
// tests only.
package defaulting

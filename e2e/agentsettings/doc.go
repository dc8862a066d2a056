// Package agentsettings holds the mutator's settings for the agent against the
// agent itself: the names of its variables, which of them the platform may set,
// and the values that it takes. It has tests only.
package agentsettings

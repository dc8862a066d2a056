// Package diagnosis says what the state of a pod, or the API server's answer to
// one, means for the job: what is wrong, whose it is to mend, and how. It is pure,
// so that the dispatcher, which acts on it, and the command line, which explains
// it to people, use the same words.
package diagnosis

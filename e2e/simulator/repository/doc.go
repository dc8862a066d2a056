// Package repository serves Git repositories over HTTP, made from files that a
// test or the demo hands in. Git itself does the work: fast-import writes them,
// http-backend serves them, read-only.
package repository

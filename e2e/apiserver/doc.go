// Package apiserver holds the dispatcher against a real API server and its store:
// the answers to creations that it has to tell apart, and what becomes of it when
// the server is away. It needs what `make test` builds, in E2E_BIN.
//
// The answers are recorded in dispatcher/testdata/answers.json, where unit tests
// classify them; `make record-answers` records them anew.
package apiserver

// Command generate writes docs/kubernetes-plugin.schema.json, or the file that it
// is told.
package main

import (
	"fmt"
	"os"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/schema"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate PLUGIN-REFERENCE SCHEMA")
		os.Exit(2)
	}
	page, err := os.ReadFile(os.Args[1]) //nolint:gosec // `go generate` names the files
	if err == nil {
		err = os.WriteFile(os.Args[2], schema.Generate(schema.Meanings(string(page))), 0o644) //nolint:gosec // as above
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// whole stands for Buildkite's schema: small, with one of each kind of thing.
const whole = `
scalar DateTime
interface Node { id: ID! }
union Job = Command | Wait
enum State { RUNNING FINISHED }
input Search { key: [String!]! number: Int = 3 }
type Query { job(uuid: ID!, order: State = RUNNING): Job jobs(search: Search): [Command!] }
type Command implements Node { id: ID! at: DateTime label: String state: State! }
type Wait { label: String }
`

const operations = `query One($id: ID!) { job(uuid: $id) { ... on Command { id state } } }`

func TestRun(t *testing.T) {
	// Each case replaces one piece of an exact copy of the whole.
	cases := map[string]struct {
		old, new   string
		operations string
		want       string
	}{
		"identical":                  {operations: operations},
		"fewer fields":               {old: "label: String state: State!", new: "state: State!", operations: operations},
		"invented field":             {old: "label: String state", new: "title: String state", operations: operations, want: "Command.title: Buildkite has no such field"},
		"field may not be null":      {old: "at: DateTime", new: "at: DateTime!", operations: operations, want: "Command.at: is DateTime! here, Buildkite's is DateTime"},
		"field may be null":          {old: "state: State!", new: "state: State", operations: operations, want: "Command.state: is State here, Buildkite's is State!"},
		"invented argument":          {old: "uuid: ID!,", new: "uuid: ID!, slug: ID,", operations: operations, want: "Query.job(slug): Buildkite has no such argument"},
		"argument of another type":   {old: "job(uuid: ID!", new: "job(uuid: ID", operations: operations, want: "Query.job(uuid): is ID here, Buildkite's is ID!"},
		"required argument left out": {old: "uuid: ID!,", operations: `{ job { ... on Wait { label } } }`, want: "Query.job: lacks argument uuid, which Buildkite requires"},
		"another default":            {old: "= RUNNING", new: "= FINISHED", operations: operations, want: "Query.job(order): default is FINISHED here, Buildkite's is RUNNING"},
		"invented enum value":        {old: "RUNNING FINISHED", new: "RUNNING FINISHED DONE", operations: operations, want: "State.DONE: Buildkite has no such value"},
		"enum value left out":        {old: "RUNNING FINISHED", new: "RUNNING", operations: operations, want: "State: lacks FINISHED"},
		"required input left out":    {old: "key: [String!]! ", operations: operations, want: "Search: lacks key, which Buildkite requires"},
		"invented type":              {old: "scalar DateTime", new: "scalar DateTime scalar Moment", operations: operations, want: "Moment: Buildkite has no such type"},
		"another kind":               {old: "type Wait {", new: "interface Wait {", operations: operations, want: "Wait: is INTERFACE here, Buildkite's is OBJECT"},
		"invented member":            {old: "Command | Wait", new: "Command | Wait | Query", operations: operations, want: "Job: has member Query here"},
		"invented interface":         {old: "type Wait {", new: "type Wait implements Node { id: ID!", operations: operations, want: "Wait: implements Node here"},
		"query of unknown field":     {operations: `query One($id: ID!) { job(uuid: $id) { ... on Command { colour } } }`, want: "operations.graphql:1: Cannot query field \"colour\" on type \"Command\""},
		"query beyond the subset":    {old: "label: String state", new: "state", operations: `query One($id: ID!) { job(uuid: $id) { ... on Command { label } } }`, want: "Cannot query field \"label\" on type \"Command\". (by "},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.old != "" && !strings.Contains(whole, tc.old) {
				t.Fatalf("the schema has no %q to replace", tc.old)
			}
			directory := t.TempDir()
			subset := strings.Replace(whole, tc.old, tc.new, 1)
			if strings.Contains(tc.new, "interface Wait") {
				subset = strings.Replace(subset, "Command | Wait", "Command", 1) // a union holds objects only
			}
			args := []string{
				"--schema", write(t, directory, "whole.graphql", whole),
				"--subset", write(t, directory, "subset.graphql", subset),
				"--operations", write(t, directory, "operations.graphql", tc.operations),
			}
			var stdout, stderr bytes.Buffer
			status := run(args, &stdout, &stderr)

			want := exitIncompatible
			if tc.want == "" {
				want = exitCompatible
			}
			if status != want {
				t.Fatalf("status %d, want %d\nstdout: %s\nstderr: %s", status, want, stdout.String(), stderr.String())
			}
			if !strings.Contains(stdout.String(), tc.want) {
				t.Errorf("want %q in:\n%s", tc.want, stdout.String())
			}
		})
	}
}

func TestRunUsage(t *testing.T) {
	directory := t.TempDir()
	valid := write(t, directory, "whole.graphql", whole)
	broken := write(t, directory, "broken.graphql", "type {")
	cases := map[string]struct {
		args []string
		want string
	}{
		"no schema":        {want: "--schema is required"},
		"missing file":     {args: []string{"--schema", filepath.Join(directory, "none")}, want: "read schema"},
		"broken schema":    {args: []string{"--schema", broken}, want: "parse schema"},
		"missing queries":  {args: []string{"--schema", valid, "--subset", valid, "--operations", filepath.Join(directory, "none")}, want: "read operations"},
		"unknown argument": {args: []string{"--colour"}, want: "unknown flag"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if diff := cmp.Diff(exitUsage, run(tc.args, &stdout, &stderr)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("want %q in:\n%s", tc.want, stderr.String())
			}
		})
	}
}

func write(t *testing.T, directory, name, text string) string {
	t.Helper()
	path := filepath.Join(directory, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

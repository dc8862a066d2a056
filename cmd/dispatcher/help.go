package main

import (
	"fmt"
	"strings"
)

const helpHead = `Runs Buildkite jobs as Kubernetes pods: polls Buildkite for the scheduled jobs of
a queue and submits a pod for each.

Usage: dispatcher --org SLUG --buildkite-token TOKEN [options]

Each option is also an environment variable, named below, and a key of the YAML
file that --config names: a flag wins over the environment, and this over the
file.
`

// lineWidth is where the help's lines break.
const lineWidth = 80

// help is what --help prints.
func help() string {
	var out strings.Builder
	out.WriteString(helpHead)
	for _, group := range groups() {
		fmt.Fprintf(&out, "\n%s:\n", group.title)
		for _, option := range group.options {
			out.WriteString(optionHelp(option))
		}
	}
	out.WriteString("  -h, --help\n      print this and end\n")
	return out.String()
}

func optionHelp(option option) string {
	name := "      --" + option.name
	if option.fileOnly {
		name = "      " + option.name + " (file only)"
	}
	if option.shorthand != "" {
		name = "  -" + option.shorthand + ", --" + option.name
	}
	if option.kind != "" {
		name += " " + strings.ToUpper(option.kind)
	}
	description := option.usage
	if option.standard != "" {
		description += " (default: " + option.standard + ")"
	}
	if option.env() != "" {
		description += " [$" + option.env() + "]"
	}
	return "  " + strings.TrimSpace(name) + "\n" + wrap(description, "      ")
}

// wrap breaks a text into indented lines.
func wrap(text, indent string) string {
	var out strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > lineWidth {
			out.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}

package main

import (
	"regexp"
	"strings"
)

// controllersTurn is what to say to somebody who starts this program as the
// existing stack's controller is started, which had this name: with options and
// no command. It is "" for anything else.
func controllersTurn(arguments []string) string {
	if !strings.HasPrefix(arguments[0], "-") {
		return ""
	}

	option, _, _ := strings.Cut(arguments[0], "=")

	return "agent-stack-k8s: " + option + " is no command. This program is for people; what runs jobs, as the controller of this name did, is the dispatcher. " +
		"It takes the same options, and says so where one is no longer needed:\n\n  dispatcher " + strings.Join(withoutTokens(arguments), " ") +
		"\n\nSee agent-stack-k8s --help for this program's commands.\n"
}

// tokenOption is one whose value must not be shown.
var tokenOption = regexp.MustCompile(`^--?[a-z-]*token(=|$)`)

// withoutTokens returns arguments as a shell takes them, with tokens left out.
func withoutTokens(arguments []string) []string {
	var shown []string
	hideNext := false
	for _, argument := range arguments {
		switch {
		case hideNext:
			shown, hideNext = append(shown, "…"), false
		case tokenOption.MatchString(argument):
			name, _, hasValue := strings.Cut(argument, "=")
			if hasValue {
				shown = append(shown, name+"=…")
			} else {
				shown, hideNext = append(shown, name), true
			}
		default:
			shown = append(shown, quoted(argument))
		}
	}

	return shown
}

var plainArgument = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

func quoted(argument string) string {
	if plainArgument.MatchString(argument) {
		return argument
	}

	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}

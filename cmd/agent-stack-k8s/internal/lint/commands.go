package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// words are a job container's own command and args, and how they are run.
type words struct {
	command, args []string
	interposer    mutator.Interposer
	// path is the container's, relative to the step.
	path string
}

// commands warns of commands that do not do what they look like. How each is run
// is taken from the pod's receipt, where the mutator wrote it.
func (s *stepLint) commands(pod *corev1.Pod) {
	receipt, err := mutator.ParseReceipt(pod.Annotations[contract.InjectedAnnotation])
	if err != nil {
		// It was written a moment ago.
		panic("read the receipt of an admitted pod: " + err.Error())
	}
	origin := origins{step: s, pod: pod}
	var without []string
	for _, planned := range receipt.Plan.Containers {
		base := origin.named(podSpecName+".containers", planned.Name, contract.JobContainerNamePrefix)
		if planned.Interposer == "" {
			if base != "" {
				without = append(without, base)
			}

			continue
		}
		node, _ := s.find(base)
		if base == "" || node == nil {
			continue
		}
		own := words{
			command: texts(node.Get("command")), args: texts(node.Get("args")),
			interposer: planned.Interposer, path: base,
		}
		if len(own.command)+len(own.args) > 0 {
			s.words(own)
		}
	}
	s.stepCommand(len(receipt.Plan.Containers), len(without) > 0, without)
}

func texts(list *document.Node) []string {
	if list == nil {
		return nil
	}
	var all []string
	for _, item := range list.Items {
		all = append(all, item.Text())
	}

	return all
}

// stepCommand is about the step's own command, which runs in containers that set
// none.
func (s *stepLint) stepCommand(containers int, anyWithout bool, without []string) {
	var entry *document.Entry
	for _, key := range []string{"command", "commands"} {
		if one := s.step.Node.Entry(key); one != nil && !one.Value.IsNull() {
			entry = one
		}
	}
	switch {
	case entry != nil && !anyWithout && containers > 0 && s.config.Get(podSpecName).Get("containers") != nil && !s.unseenTemplate:
		s.warn(finding.Command, entry.Position, entry.Key,
			"it does not run: each container has a command of its own; remove this one, or theirs")
	case entry != nil && len(without) > 1:
		s.warn(finding.Command, s.at(without[1]), without[1],
			"the step's command runs here, too, after it ran in "+strings.TrimPrefix(without[0], pluginPath+".")+"; give this container its own command, or make it one of sidecars if it is a service")
	case entry == nil && len(without) > 0 && !s.others:
		s.warn(finding.Command, s.at(without[0]), without[0],
			"nothing runs here: neither the container nor the step has a command, and the image's own is not used; add one")
	}
}

func (s *stepLint) at(path string) document.Position {
	_, position := s.find(path)

	return position
}

// words looks at one container's command.
func (s *stepLint) words(w words) {
	s.noCommand(w)
	s.shellArguments(w)
	switch w.interposer {
	case mutator.InterposerVector:
		s.vector(w)
	case mutator.InterposerBuildkite:
		s.script(w)
	case mutator.InterposerLegacy:
		s.joined(w)
	}
}

func (s *stepLint) warnAt(w words, list string, index int, text string) {
	relative := fmt.Sprintf("%s.%s[%d]", w.path, list, index)
	s.warn(finding.Command, s.at(relative), relative, text)
}

// noCommand is for those who know that Kubernetes runs an image's entrypoint.
func (s *stepLint) noCommand(w words) {
	if len(w.command) == 0 {
		s.warn(finding.Command, s.at(w.path+".args"), w.path+".args",
			"args alone are run as a command: the image's entrypoint cannot be seen from here; name it in command")
	}
}

// shells take a script after -c.
var shells = []string{"sh", "bash", "dash", "ash", "ksh", "zsh"}

// shellArguments looks for a shell that is given no script, or one in pieces.
func (s *stepLint) shellArguments(w words) {
	all := slices.Concat(w.command, w.args)
	if len(w.command) == 0 || !slices.Contains(shells, path.Base(all[0])) {
		return
	}
	place := slices.IndexFunc(all, func(word string) bool {
		return strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.HasSuffix(word, "c")
	})
	switch after := len(all) - place - 1; {
	case len(all) == 1:
		s.warnAt(w, "command", 0, "a shell without a script reads one from its input and ends, or waits; add [-c, script]")
	case place < 0:
	case after == 0:
		s.warn(finding.Command, s.at(w.path+".command"), w.path+".command", "-c takes a script as the next word; add it")
	case after > 1 && !strings.ContainsAny(all[place+1], " \n;$"):
		s.warn(finding.Command, s.at(w.path+".command"), w.path+".command",
			fmt.Sprintf("the shell runs %q alone; the words after it are its $0, $1 and so on. Write the whole script as one word", all[place+1]))
	}
}

// operators mean something to a shell.
var operators = []string{"&&", "||", "|", ";", ">", ">>", "<", "2>&1", "&"}

func isOperator(word string) bool { return slices.Contains(operators, word) }

// vector is about words that no shell sees.
func (s *stepLint) vector(w words) {
	all := slices.Concat(w.command, w.args)
	if slices.Contains(shells, path.Base(all[0])) || path.Base(all[0]) == "env" {
		return
	}
	if len(w.command) > 0 && strings.ContainsAny(all[0], " \t\n") {
		s.warnAt(w, "command", 0, "no shell runs here, so this is the name of a program, spaces included; write each word as an entry, or use [sh, -c, script]")

		return
	}
	if place := slices.IndexFunc(all, isOperator); place >= 0 {
		s.warn(finding.Command, s.at(w.path+".command"), w.path+".command",
			fmt.Sprintf("no shell runs here, so %s is a word like others; use [sh, -c, script]", all[place]))
	}
}

// script is about a shell script with a line for each entry of command, the last
// of which ends with the args, quoted.
func (s *stepLint) script(w words) {
	if len(w.command) > 1 && looksLikeOneCommand(w.command) {
		s.warnAt(w, "command", 1, fmt.Sprintf("each entry of command is a line of a script of its own; for one command write %q, or put the words after the first into args",
			strings.Join(w.command, " ")))
	}
	for i, word := range w.args {
		switch {
		case isOperator(word):
			s.warnAt(w, "args", i, "args are quoted, so this is a word like others; write the script in command")
		case strings.Contains(word, "$$"):
			s.warnAt(w, "args", i, "args are quoted, so that the shell puts no value here; write the line in command, or name a variable of the container as $(NAME)")
		}
	}
}

// looksLikeOneCommand says whether entries are the words of a command rather than
// lines: flags, and bare words without anything that a line would have.
func looksLikeOneCommand(entries []string) bool {
	for _, entry := range entries[1:] {
		if strings.HasPrefix(entry, "-") {
			return true
		}
	}
	for _, entry := range entries {
		if entry == "" || strings.ContainsAny(entry, " \t\n/.;&|$\"'") {
			return false
		}
	}

	return true
}

// joined is about words that are joined by spaces for a shell.
func (s *stepLint) joined(w words) {
	for i, word := range w.args {
		if strings.ContainsAny(word, " \t\"'") {
			s.warnAt(w, "args", i, "the interposer legacy quotes nothing, so the shell takes this apart; quote it, or use the interposer buildkite")
		}
	}
	if len(w.command) > 1 && !looksLikeOneCommand(w.command) && !slices.Contains(shells, path.Base(w.command[0])) {
		s.warnAt(w, "command", 1, "the interposer legacy joins all entries by spaces into one line; put ; between commands, or use the interposer buildkite")
	}
	if len(w.command) > 2 && slices.Contains(shells, path.Base(w.command[0])) && strings.ContainsAny(w.command[len(w.command)-1], " \t") {
		s.warnAt(w, "command", len(w.command)-1, "the interposer legacy quotes nothing, so the inner shell gets the first word of this script alone; use the interposer buildkite or vector")
	}
}

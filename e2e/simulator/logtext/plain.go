// Package logtext turns a job's log, as an agent sends it, into what people and
// tests read: without the agent's time stamps and terminal escapes, or with the
// colours as HTML.
package logtext

import (
	"regexp"
	"strings"
)

// escape matches a time stamp of the agent (ESC _ … BEL), an operating system
// command (ESC ] … BEL), a control sequence (ESC [ … letter), or a lone escape.
var escape = regexp.MustCompile("\x1b_[^\x07]*\x07|\x1b\\][^\x07]*(?:\x07|\x1b\\\\)|\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\\\^]?")

// Plain returns the log as text: lines end in a newline alone, what a carriage
// return overwrote is gone, and there are no escapes.
func Plain(log []byte) string {
	return overwrite(escape.ReplaceAllString(string(log), ""))
}

// overwrite applies carriage returns, as a terminal does for progress bars.
func overwrite(text string) string {
	if !strings.Contains(text, "\r") {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		if at := strings.LastIndex(line, "\r"); at >= 0 {
			line = line[at+1:]
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

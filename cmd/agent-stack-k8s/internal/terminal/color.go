// Package terminal is about what commands print for people: colour, ages and
// lines that fit.
package terminal

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Values of --color.
const (
	colorAuto   = "auto"
	colorAlways = "always"
	colorNever  = "never"
)

// ColorUsage is the help of --color.
const ColorUsage = "`WHEN` to colour: auto (on a terminal, unless NO_COLOR is set),\nalways or never"

// Colored decides about colour from the value of --color and where the text
// goes; see https://no-color.org.
func Colored(when string, stdout io.Writer) (bool, error) {
	switch when {
	case colorAlways:
		return true, nil
	case colorNever:
		return false, nil
	case colorAuto:
		file, isFile := stdout.(*os.File)
		return isFile && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd())), nil
	default:
		return false, fmt.Errorf("--color: %q is none of auto, always, never", when)
	}
}

// Style is how a piece of text looks.
type Style string

// Styles, as ANSI escape codes have them.
const (
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Painter gives text a style, or leaves it alone.
type Painter bool

// Paint returns the text in a style.
func (p Painter) Paint(style Style, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

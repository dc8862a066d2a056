package logtext

import (
	"html"
	"html/template"
	"regexp"
	"strconv"
	"strings"
)

// colour matches the one escape that HTML shows: select graphic rendition.
var colour = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// group matches the first line of a group in a log.
var group = regexp.MustCompile(`^(?:---|\+\+\+|~~~) `)

// mark encloses the code of a colour while a log is taken apart.
const mark = "\x00"

// HTML returns the log for a page: colours as spans of class "c31", "bold", and
// so on, the headers of groups as spans of class "group". Everything else of the
// log is escaped.
func HTML(log []byte) template.HTML {
	// Colours travel as NUL, code, NUL while all other escapes are taken out.
	text := strings.ReplaceAll(string(log), mark, "")
	text = Plain([]byte(colour.ReplaceAllString(text, mark+"$1"+mark)))

	var out strings.Builder
	style := style{}
	for line := range strings.SplitAfterSeq(text, "\n") {
		pieces := strings.Split(line, mark) // text, code, text, code, text
		header := group.MatchString(textOf(pieces))
		if header {
			out.WriteString(`<span class="group">`)
		}
		for i, piece := range pieces {
			if i%2 == 1 {
				style.apply(piece)
			} else {
				style.write(&out, piece)
			}
		}
		if header {
			out.WriteString(`</span>`)
		}
	}
	return template.HTML(out.String()) // every piece went through EscapeString
}

func textOf(pieces []string) string {
	var text strings.Builder
	for i := 0; i < len(pieces); i += 2 {
		text.WriteString(pieces[i])
	}
	return text.String()
}

// style is what select graphic rendition has set.
type style struct {
	foreground int
	bold       bool
}

func (s *style) apply(codes string) {
	for text := range strings.SplitSeq(codes, ";") {
		code, _ := strconv.Atoi(text) // none is 0
		switch {
		case code == 0:
			*s = style{}
		case code == 1:
			s.bold = true
		case code == 22:
			s.bold = false
		case code >= 30 && code <= 37, code >= 90 && code <= 97:
			s.foreground = code
		case code == 39:
			s.foreground = 0
		case code == 38, code == 48:
			return // a colour out of 256 or more, whose numbers follow
		}
	}
}

func (s *style) write(out *strings.Builder, text string) {
	if text == "" {
		return
	}
	var classes []string
	if s.foreground != 0 {
		classes = append(classes, "c"+strconv.Itoa(s.foreground))
	}
	if s.bold {
		classes = append(classes, "bold")
	}
	escaped := html.EscapeString(text)
	if len(classes) == 0 {
		out.WriteString(escaped)
		return
	}
	out.WriteString(`<span class="` + strings.Join(classes, " ") + `">` + escaped + `</span>`)
}

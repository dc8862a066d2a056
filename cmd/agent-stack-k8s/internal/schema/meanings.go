package schema

import (
	"regexp"
	"strings"
)

//go:generate go run ./generate ../../../../docs/plugin-reference.md ../../../../docs/kubernetes-plugin.schema.json

var (
	// row is a field in a table of the plugin's reference: name, type, default,
	// meaning.
	row  = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\|([^|]*)\\|([^|]*)\\|([^|]*)\\|")
	link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// Meanings takes what the fields mean from the text of the plugin's reference.
func Meanings(page string) map[string]string {
	meanings := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(page, -1) {
		text := strings.TrimSpace(link.ReplaceAllString(match[4], "$1"))
		if text == "" {
			continue
		}
		text = strings.ToUpper(text[:1]) + text[1:] + "."
		if otherwise := strings.TrimSpace(match[3]); otherwise != "" {
			text += " Default: " + otherwise + "."
		}
		meanings[match[1]] = text
	}

	return meanings
}

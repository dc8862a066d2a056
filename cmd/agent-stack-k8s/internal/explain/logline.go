package explain

import (
	"encoding/json"
	"strings"
	"time"
)

// logLinesAbout picks from a dispatcher's log, be it text or JSON, the lines that
// name a job.
func logLinesAbout(text, uuid string) []LogLine {
	var lines []LogLine
	for line := range strings.Lines(text) {
		if uuid == "" || !strings.Contains(line, uuid) {
			continue
		}
		fields := fieldsOf(strings.TrimSpace(line))
		if fields["job"] != uuid {
			continue
		}
		at, _ := time.Parse(time.RFC3339Nano, fields["time"])
		lines = append(lines, LogLine{
			Message: fields["msg"], Cause: fields["cause"], Error: fields["error"], Advice: fields["advice"], At: at,
		})
	}
	return lines
}

// fieldsOf reads a line as slog's handlers write it.
func fieldsOf(line string) map[string]string {
	fields := map[string]string{}
	if strings.HasPrefix(line, "{") {
		var object map[string]any
		if json.Unmarshal([]byte(line), &object) == nil {
			for key, value := range object {
				if text, isText := value.(string); isText {
					fields[key] = text
				}
			}
		}
		return fields
	}
	for line != "" {
		key, rest, found := strings.Cut(line, "=")
		if !found {
			break
		}
		value, after := cutValue(rest)
		fields[strings.TrimSpace(key)] = value
		line = strings.TrimLeft(after, " ")
	}
	return fields
}

// cutValue cuts off a value that may be quoted as in Go.
func cutValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, " ")
		return value, rest
	}
	end := 1
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end+1, len(text))
	var unquoted string
	if json.Unmarshal([]byte(text[:end]), &unquoted) != nil {
		unquoted = strings.Trim(text[:end], `"`)
	}
	return unquoted, text[end:]
}

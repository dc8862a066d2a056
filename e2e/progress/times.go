package progress

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// times is how long each step took, in seconds: the mean of the last time and
// what was remembered before, so that one odd run does not spoil the estimate.
type times map[string]float64

// timesFile is where a title's times are kept, or empty without a home directory.
func timesFile(title string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return '-'
	}, title)
	return filepath.Join(cache, "agent-stack-k8s", "times", name+".json")
}

// loadTimes returns what was remembered. An unreadable file is as good as none:
// these are estimates.
func loadTimes(title string) times {
	remembered := times{}
	content, err := os.ReadFile(timesFile(title))
	if err != nil || json.Unmarshal(content, &remembered) != nil {
		return times{}
	}
	return remembered
}

func (t times) estimate(step Step) time.Duration {
	if seconds, known := t[step.Name]; known {
		return time.Duration(seconds * float64(time.Second))
	}
	return step.Estimate
}

func (t times) record(name string, took time.Duration) {
	seconds := took.Seconds()
	if before, known := t[name]; known {
		seconds = (seconds + before) / 2
	}
	t[name] = seconds
}

// save remembers the times; where it cannot, the next estimate is the built-in one.
func (t times) save(title string) {
	path := timesFile(title)
	content, err := json.Marshal(t)
	if path == "" || err != nil || os.MkdirAll(filepath.Dir(path), 0o755) != nil {
		return
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if os.WriteFile(temporary, content, 0o644) == nil {
		_ = os.Rename(temporary, path)
	}
}

// Seconds prints a duration as a person says it: "8 s", "3 min", "1 h 5 min".
func Seconds(d time.Duration) string {
	switch seconds := int(d.Round(time.Second).Seconds()); {
	case seconds < 1:
		return "1 s"
	case seconds < 100:
		return fmt.Sprintf("%d s", seconds)
	case seconds < 90*60:
		return fmt.Sprintf("%d min", (seconds+30)/60)
	default:
		return fmt.Sprintf("%d h %d min", seconds/3600, seconds%3600/60)
	}
}

// precise prints how long something took.
func precise(d time.Duration) string {
	if d < 100*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return Seconds(d)
}

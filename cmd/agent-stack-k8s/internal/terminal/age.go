package terminal

import (
	"fmt"
	"strings"
	"time"
)

// Now is the time that ages are counted from.
var Now = time.Now

// Duration says how long something took, in at most two units: 350ms, 12s, 3m 5s.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second && d != 0:
		return d.Round(10 * time.Millisecond).String()
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "m", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "m")
	default:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	}
}

func two(large int, largeUnit string, small int, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", large, largeUnit)
	}
	return fmt.Sprintf("%d%s %d%s", large, largeUnit, small, smallUnit)
}

// Since says when something happened, and how long ago.
func Since(at time.Time) string {
	if at.IsZero() {
		return "an unknown time"
	}
	return fmt.Sprintf("%s, %s ago", at.UTC().Format("2006-01-02 15:04:05 UTC"), Duration(Now().Sub(at)))
}

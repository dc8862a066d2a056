package logtext

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlain(t *testing.T) {
	cases := map[string]struct{ log, want string }{
		"empty":            {},
		"time stamps":      {"\x1b_bk;t=1700000000000\x07hello\r\n\x1b_bk;t=1700000000001\x07world\r\n", "hello\nworld\n"},
		"colours":          {"\x1b[31mred\x1b[0m and \x1b[1;32mgreen\x1b[0m", "red and green"},
		"progress bar":     {"10%\r50%\r100%\r\ndone", "100%\ndone"},
		"other escapes":    {"\x1b]1338;url='x'\x07a\x1b[2Kb\x1b[?25lc", "abc"},
		"unfinished stamp": {"a\x1b", "a"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Plain([]byte(tc.log))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHTML(t *testing.T) {
	cases := map[string]struct{ log, want string }{
		"markup is escaped":      {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
		"markup in colour":       {"\x1b[31m<b>\x1b[0m", `<span class="c31">&lt;b&gt;</span>`},
		"colour over lines":      {"\x1b[1;34ma\nb\x1b[0mc", "<span class=\"c34 bold\">a\n</span><span class=\"c34 bold\">b</span>c"},
		"group":                  {"\x1b_bk;t=1\x07~~~ Preparing\r\nx", "<span class=\"group\">~~~ Preparing\n</span>x"},
		"coloured group":         {"\x1b[33m--- Step\x1b[0m\n", "<span class=\"group\"><span class=\"c33\">--- Step</span>\n</span>"},
		"colour in an old line":  {"\x1b[31mold\x1b[0m\rnew", "new"},
		"zero bytes are dropped": {"a\x00b\x0031\x00", "ab31"},
		"unknown code":           {"\x1b[38;5;1mx", "x"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(HTML([]byte(tc.log)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

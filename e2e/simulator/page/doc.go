// Package page shows builds, jobs and live logs to people: plain HTML from
// templates, which a few lines of JavaScript fetch again and again.
package page

package graphqlapi

// Limits are Buildkite's on complexity. Zero points are no limit, and no headers
// that tell of one.
type Limits struct {
	// Query bounds the requested points of one query. Default 50,000.
	Query int `json:"query,omitempty"`
	// Organization and User bound actual points in a window.
	Organization int `json:"organization,omitempty"`
	User         int `json:"user,omitempty"`
	// WindowSeconds is the length of a window. Default 300.
	WindowSeconds int `json:"window_seconds,omitempty"`
	// NoRetryAfter leaves the header Retry-After out of a 429; what the headers of
	// the limits and the text say is then all there is.
	NoRetryAfter bool `json:"no_retry_after,omitempty"`
}

// Buildkite's own limits.
const (
	defaultQueryPoints   = 50_000
	defaultWindowSeconds = 300
)

// PublishedLimits returns Buildkite's.
func PublishedLimits() Limits {
	return Limits{Query: defaultQueryPoints, Organization: 20_000, User: 5_000, WindowSeconds: defaultWindowSeconds}
}

func (l Limits) withDefaults() Limits {
	if l.Query <= 0 {
		l.Query = defaultQueryPoints
	}
	if l.WindowSeconds <= 0 {
		l.WindowSeconds = defaultWindowSeconds
	}
	return l
}

// Usage is what queries have cost.
type Usage struct {
	Limits       Limits      `json:"limits"`
	Organization Consumption `json:"organization"`
	// Users are the owners of the tokens, in the order in which the tokens came.
	Users []Consumption `json:"users"`
}

// Consumption is what one user, or all, have used.
type Consumption struct {
	// User is "user-1" for the owner of the first token, and so on; tokens
	// themselves are not shown. Empty for the organization.
	User string `json:"user,omitempty"`
	// Revoked is true when the token is taken no more.
	Revoked bool `json:"revoked,omitempty"`
	// Points, Requests and Refused count since the start; Refused are answers 429.
	Points   int `json:"points"`
	Requests int `json:"requests"`
	Refused  int `json:"refused"`
	// TooComplex counts queries over the limit of one query.
	TooComplex int `json:"too_complex"`
	// WindowPoints are those of the current window, Peak the most of any window.
	WindowPoints int `json:"window_points"`
	Peak         int `json:"peak"`
	// Remaining and ResetSeconds are as in the headers; Remaining is -1 when there
	// is no limit.
	Remaining    int                  `json:"remaining"`
	ResetSeconds int                  `json:"reset_seconds"`
	Operations   map[string]Operation `json:"operations,omitempty"`
}

// Operation sums up one operation of a user.
type Operation struct {
	Requests int `json:"requests"`
	Points   int `json:"points"`
	// Requested are the requested points of the latest request.
	Requested int `json:"requested"`
}

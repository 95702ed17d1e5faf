package httpapi

import "github.com/stated/stated/protocol/auth"

// Route is what tests see of a route.
type Route struct {
	Method, Path string
	Open         bool
	Role         auth.Role
	Params       []string // of the query
}

// Routes are all of them; GET stands for HEAD too.
func Routes() (all []Route) {
	for _, r := range newRoutes() {
		all = append(all, Route{r.method, r.path, r.open, r.role, r.params})
	}
	return all
}

// OpenAPI is the document that is served.
func OpenAPI() []byte { return openAPI }

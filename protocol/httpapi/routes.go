package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// route is what there is to know about a method of a path.
type route struct {
	method  string // HEAD comes with GET
	path    string // {id} stands for one percent-encoded segment
	open    bool   // needs no token
	role    auth.Role
	params  []string // of the query
	perform func(x *exchange) error
}

// routes are all there are. It is the only place where they are declared.
type routes []route

func newRoutes() routes {
	return routes{
		{method: http.MethodPut, path: "/v1/agents/{id}", role: auth.RoleWrite, perform: (*exchange).save},
		{method: http.MethodGet, path: "/v1/agents/{id}", role: auth.RoleRead, perform: (*exchange).load},
		{method: http.MethodDelete, path: "/v1/agents/{id}", role: auth.RoleWrite, perform: (*exchange).remove},
		{
			method: http.MethodGet, path: "/v1/agents", role: auth.RoleRead, params: []string{"prefix", "after", "limit"},
			perform: (*exchange).list,
		},
		{method: http.MethodDelete, path: "/v1/agents", role: auth.RoleAdmin, params: []string{"confirm"}, perform: (*exchange).clear},
		{method: http.MethodGet, path: "/v1/count", role: auth.RoleRead, params: []string{"prefix"}, perform: (*exchange).count},
		{method: http.MethodPost, path: "/v1/transactions", role: auth.RoleRead, perform: (*exchange).transact},
		{method: http.MethodGet, path: "/v1/info", role: auth.RoleRead, perform: (*exchange).info},
		{method: http.MethodGet, path: "/metrics", role: auth.RoleRead, perform: (*exchange).metrics},
		{method: http.MethodGet, path: "/livez", open: true, perform: (*exchange).livez},
		{method: http.MethodGet, path: "/healthz", open: true, perform: (*exchange).livez},
		{method: http.MethodGet, path: "/readyz", open: true, params: []string{"verbose"}, perform: (*exchange).readyz},
		{method: http.MethodGet, path: "/openapi.yaml", open: true, perform: (*exchange).openapi},
	}
}

const agentsPrefix = "/v1/agents/"

// find gives the route of a request and the agent id in its path, or the error to answer. Where the path has other
// methods alone, there is no route, and allowed are those.
func (rs routes) find(r *http.Request) (found *route, id string, allowed []string, err error) {
	path := r.URL.RawPath // as it came: EscapedPath makes a slash of %2F if it has to escape anything else
	if path == "" {
		path = r.URL.EscapedPath()
	}
	if segment, ok := strings.CutPrefix(path, agentsPrefix); ok && segment != "" && !strings.Contains(segment, "/") {
		if id, err = url.PathUnescape(segment); err != nil {
			return nil, "", nil, protocol.Errorf(protocol.CodeInvalid, "the agent id in the path is not percent-encoded correctly")
		}
		path = agentsPrefix + "{id}"
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range rs {
		if rs[i].path == path && rs[i].method == method {
			return &rs[i], id, nil, nil
		}
	}
	allowed = rs.methods(path)
	switch {
	case allowed == nil && strings.HasPrefix(path, agentsPrefix):
		return nil, "", nil, status{http.StatusNotFound, protocol.Errorf(protocol.CodeInvalid,
			"there is nothing at this path: an agent id is one segment, with / written as %%2F")}
	case allowed == nil:
		return nil, "", nil, status{http.StatusNotFound, protocol.Errorf(protocol.CodeInvalid,
			"there is nothing at this path: /openapi.yaml tells what there is")}
	}
	return nil, id, allowed, nil
}

// methods gives those that a path has, sorted; nil if there is no such path.
func (rs routes) methods(path string) (all []string) {
	for i := range rs {
		if rs[i].path != path {
			continue
		}
		if all = append(all, rs[i].method); rs[i].method == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	if all != nil {
		all = append(all, http.MethodOptions)
	}
	slices.Sort(all)
	return all
}

package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// The front ends, as labels have them.
const (
	frontRedis = "redis"
	frontHTTP  = "http"
)

// seconds are the buckets of every time: a load takes some ten microseconds, an fsync 0.1 to 100 ms, a wait for a lock up
// to its budget, and the default deadline is 30 s, after which a request ends within the last bucket.
var seconds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Buckets of batches: up to the defaults of actor.batch, and beyond that of actor.batch_bytes, since a larger request is a
// batch alone.
var (
	batchRequests = prometheus.ExponentialBuckets(1, 2, 11)    // 1 to 1,024
	batchBytes    = prometheus.ExponentialBuckets(1<<10, 4, 9) // 1 KiB to 64 MiB
)

// metrics are what Prometheus is shown. What happens is counted here; what is counted elsewhere is asked for when it is
// shown, see source. METRICS.md lists all of them; it is made from the registry by a test.
//
// Every label has few values that are known from the start, and every series is there from the start: a counter that
// appears with its first error is one of which rate() does not see that error.
type metrics struct {
	registry *prometheus.Registry

	operations  map[protocol.Kind]*operation
	refusals    map[string]map[protocol.Code]prometheus.Counter // by front end
	requests    prometheus.Histogram
	bytes       prometheus.Histogram
	commits     prometheus.Histogram
	lockWaits   prometheus.Histogram
	checkpoints map[bool]prometheus.Observer // by whether the writer paused
}

// operation is what is counted of one kind of request.
type operation struct {
	codes map[protocol.Code]prometheus.Counter // "" is success
	took  prometheus.Observer
}

func newMetrics(v about) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.addRequests()
	m.addRefusals()
	m.requests = m.histogram("stated_batch_requests", "Requests in one transaction.", batchRequests)
	m.bytes = m.histogram("stated_batch_bytes", "Bytes of the requests in one transaction.", batchBytes)
	m.commits = m.histogram("stated_commit_seconds", "Time of one transaction, from having the write lock to its commit on disk.", seconds)
	m.lockWaits = m.histogram("stated_lock_wait_seconds", "Time that one transaction waited for the write lock, retries included, until it had it or gave up.", seconds)
	m.addCheckpoints()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "stated_build_info", Help: "1; the labels say what runs."},
		[]string{"version", "commit", "go", "sqlite"})
	m.registry.MustRegister(build)
	build.WithLabelValues(v.Version, v.Commit, v.Go, v.SQLite).Set(1)
	return m
}

func (m *metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *metrics) addRequests() {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stated_requests_total",
		Help: "Requests that the writer or a reader has answered, by operation and by error code; OK is success."}, []string{"op", "code"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stated_request_seconds", Buckets: seconds,
		Help: "Time of one request, from its arrival in full to its reply."}, []string{"op"})
	m.registry.MustRegister(total, took)
	m.operations = map[protocol.Kind]*operation{}
	for _, kind := range protocol.Kinds() {
		o := &operation{codes: map[protocol.Code]prometheus.Counter{}, took: took.WithLabelValues(kind.String())}
		for _, code := range append(protocol.Codes(), "") {
			o.codes[code] = total.WithLabelValues(kind.String(), codeLabel(code))
		}
		m.operations[kind] = o
	}
}

func (m *metrics) addRefusals() {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stated_refused_total",
		Help: "Errors that a front end answered itself, such as bad arguments or a missing token, by error code."}, []string{"front", "code"})
	m.registry.MustRegister(total)
	m.refusals = map[string]map[protocol.Code]prometheus.Counter{}
	for _, front := range []string{frontRedis, frontHTTP} {
		m.refusals[front] = map[protocol.Code]prometheus.Counter{}
		for _, code := range protocol.Codes() {
			m.refusals[front][code] = total.WithLabelValues(front, codeLabel(code))
		}
	}
}

func (m *metrics) addCheckpoints() {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stated_checkpoint_seconds", Buckets: seconds,
		Help: "Time of one checkpoint of the write-ahead log: background is beside the writer, pause between two of its transactions."},
		[]string{"kind"})
	m.registry.MustRegister(took)
	m.checkpoints = map[bool]prometheus.Observer{
		false: took.WithLabelValues("background"), true: took.WithLabelValues("pause"),
	}
}

// codeLabel is how a code is shown.
func codeLabel(code protocol.Code) string {
	if code == "" {
		return "OK"
	}
	return string(code)
}

// request counts one that was answered.
func (m *metrics) request(kind protocol.Kind, code protocol.Code, took time.Duration) {
	o := m.operations[kind]
	if o == nil { // not made by a constructor
		return
	}
	o.took.Observe(took.Seconds())
	count(o.codes, code)
}

// refused gives what counts the errors of a front end. It may be called by several goroutines.
func (m *metrics) refused(front string) func(protocol.Code) {
	return func(code protocol.Code) { count(m.refusals[front], code) }
}

// count takes a code that is not in the vocabulary for the defect that it is.
func count(codes map[protocol.Code]prometheus.Counter, code protocol.Code) {
	c := codes[code]
	if c == nil {
		c = codes[protocol.CodeInternal]
	}
	c.Inc()
}

// commit, lockWait and checkpoint are hooks of the actor and the store.
func (m *metrics) commit(requests, bytes int, took time.Duration) {
	m.requests.Observe(float64(requests))
	m.bytes.Observe(float64(bytes))
	m.commits.Observe(took.Seconds())
}

func (m *metrics) lockWait(took time.Duration) { m.lockWaits.Observe(took.Seconds()) }

func (m *metrics) checkpoint(paused bool, took time.Duration) {
	m.checkpoints[paused].Observe(took.Seconds())
}

// mostScrapes bounds the scrapes at a time; one is what a Prometheus does.
const mostScrapes = 4

// handler serves the metrics as text.
func (m *metrics) handler(log zerolog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: mostScrapes,
	})
}

// scrapeLog takes what promhttp has to say.
type scrapeLog struct{ log zerolog.Logger }

// Println implements promhttp.Logger.
func (s scrapeLog) Println(v ...any) { s.log.Error().Msgf("metrics cannot be shown: %v", v) }

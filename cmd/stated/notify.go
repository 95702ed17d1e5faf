package main

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// notifier tells the service manager how the daemon does, as sd_notify(3) has it. Without one (NOTIFY_SOCKET is not
// set) it does nothing. A message that cannot be sent is no reason to stop: it is logged once.
type notifier struct {
	send   func(message string) error
	log    zerolog.Logger
	failed atomic.Bool
}

func newNotifier(log zerolog.Logger) *notifier {
	return &notifier{log: log, send: func(message string) error {
		_, err := systemd.SdNotify(false, message)
		return err
	}}
}

// ready says that clients are served, at the start and after each reload. The status is a line for people.
func (n *notifier) ready(status string) { n.tell(systemd.SdNotifyReady, "STATUS="+oneLine(status)) }

// reloading says that the settings are being read anew; ready has to follow, whatever came of it. Type=notify-reload
// wants the time, so that it can tell this reload from an earlier one.
func (n *notifier) reloading() {
	n.tell(systemd.SdNotifyReloading, strings.TrimSpace(systemd.SdNotifyMonotonicUsec()))
}

// stopping says that the daemon has begun to stop.
func (n *notifier) stopping(status string) {
	n.tell(systemd.SdNotifyStopping, "STATUS="+oneLine(status))
}

func (n *notifier) tell(lines ...string) {
	if err := n.send(strings.Join(lines, "\n")); err != nil && !n.failed.Swap(true) {
		n.log.Warn().Err(err).Str("message", lines[0]).
			Msg("the service manager cannot be told how the daemon does (NOTIFY_SOCKET)")
	}
}

// oneLine keeps a status from being taken for several messages.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// watchdogEvery gives how often the service manager wants to hear that the daemon is alive, twice within its limit; 0 if it
// does not (WATCHDOG_USEC).
func (n *notifier) watchdogEvery() time.Duration {
	limit, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn().Err(err).Msg("WATCHDOG_USEC makes no sense: the service manager is not told that the daemon is alive")
	}
	return limit / 2
}

// watchdog tells the service manager that the daemon is alive, as long as it is, until ctx ends. Once it is not, silence
// makes the service manager end it and start another. Nothing is done if every is 0.
func (n *notifier) watchdog(ctx context.Context, every time.Duration, alive func() error) {
	if every <= 0 {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	silent := false
	for {
		err := alive()
		switch {
		case err == nil:
			n.tell(systemd.SdNotifyWatchdog)
		case !silent:
			n.log.Error().Err(err).Msg("the watchdog of the service manager is not answered any more")
		}
		silent = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

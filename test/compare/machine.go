package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// fileSystem gives the type and the mount point of the file system that a folder is on; "unknown" where /proc does not
// tell.
func fileSystem(dir string) (kind, mount string) {
	kind = "unknown"
	abs, err := filepath.Abs(dir)
	if err != nil {
		return kind, ""
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return kind, ""
	}
	return fileSystemIn(string(table), abs)
}

// fileSystemIn looks a path up in a mountinfo table: the longest mount point in front of it, the last one of those.
func fileSystemIn(table, path string) (kind, mount string) {
	kind = "unknown"
	for line := range strings.Lines(table) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		at := strings.ReplaceAll(fields[4], `\040`, " ")
		if inside(path, at) && len(at) >= len(mount) {
			kind, mount = strings.Fields(after)[0], at
		}
	}
	return kind, mount
}

func inside(path, folder string) bool {
	return folder == "/" || path == folder || strings.HasPrefix(path, folder+"/")
}

// inMemory says whether files of such a file system are nowhere but in memory, where a sync costs nothing.
func inMemory(kind string) bool { return slices.Contains([]string{"tmpfs", "ramfs", "devtmpfs"}, kind) }

// scratch makes the folder that all files go into: in dir, or where temporary files go unless that is memory.
func scratch(dir string) (string, error) {
	if dir == "" {
		dir = os.TempDir()
		if kind, _ := fileSystem(dir); inMemory(kind) {
			dir = "/var/tmp"
		}
	}
	return os.MkdirTemp(dir, "stated-compare-")
}

// syncTime is the median time of a write of one page and its sync, on the disk that all of it runs on.
func syncTime(dir string) (_ time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "sync.probe"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close() //nolint:errcheck // nothing in it is kept
	page := make([]byte, 4096)
	times := make([]float64, 200)
	for i := range times {
		begin := time.Now()
		if _, err := f.WriteAt(page, int64(i%16)*4096); err != nil {
			return 0, err
		}
		if err := dataSync(f); err != nil {
			return 0, err
		}
		times[i] = float64(time.Since(begin))
	}
	return time.Duration(spreadOf(times).median), nil
}

// machine describes what it was measured on, in one line.
func machine(dir string) (string, error) {
	kind, mount := fileSystem(dir)
	took, err := syncTime(dir)
	if err != nil {
		return "", err
	}
	facts := fmt.Sprintf("%s, %d CPUs, %s/%s, %s; files on %s (%s), where a page and its sync take %v",
		processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), kind, mount, took.Round(time.Microsecond))
	if load := busy(); load != "" {
		facts += "; load average before the start " + load
	}
	if inMemory(kind) {
		facts += ". That is no disk: these figures say nothing about durable saves"
	}
	return facts, nil
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// versionOf gives the version of a module that is linked in.
func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path != module {
			continue
		}
		if dep.Replace != nil {
			return "this tree"
		}
		return dep.Version
	}
	return "unknown"
}

// redisVersion asks redis-server.
func redisVersion(binary string) string {
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "unknown"
	}
	for _, field := range strings.Fields(string(out)) {
		if v, ok := strings.CutPrefix(field, "v="); ok {
			return v
		}
	}
	return "unknown"
}

package machine

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
)

// CPUs lists the processors that the root of the cgroup tree may hand out.
func CPUs() ([]int, error) {
	for _, path := range []string{
		cgroupRoot + "/cpuset/cpuset.effective_cpus",
		cgroupRoot + "/cpuset/cpuset.cpus",
		cgroupRoot + "/cpuset.cpus.effective",
		"/sys/devices/system/cpu/online",
	} {
		text, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(text)) != "" {
			return ParseCPUs(string(text))
		}
	}
	return nil, fmt.Errorf("the machine does not say which CPUs it has")
}

// ParseCPUs reads the kernel's list format, such as "0-2,5".
func ParseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		if err != nil {
			return nil, fmt.Errorf("CPU list %q: %w", list, err)
		}
		to, err := strconv.Atoi(high)
		if err != nil {
			return nil, fmt.Errorf("CPU list %q: %w", list, err)
		}
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	sort.Ints(cpus)
	return cpus, nil
}

// FormatCPUs writes the kernel's list format, one number at a time.
func FormatCPUs(cpus []int) string {
	words := make([]string, len(cpus))
	for i, cpu := range cpus {
		words[i] = strconv.Itoa(cpu)
	}
	return strings.Join(words, ",")
}

package supervise

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tradewind.dev/tests/cluster/internal/kubeapi"
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/render"
)

const volumesAPI = "/api/v1/persistentvolumes"

// volumeDir is where the control plane sees a node's local volume.
func volumeDir(node string, number int) string {
	return render.Inside.Node(node, "lib", strings.TrimPrefix(layout.VolumesPath, "/var/lib/"), strconv.Itoa(number))
}

// freshVolume makes an empty directory that any user may write to: pods run
// under ids that nobody knows beforehand.
func freshVolume(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777) // whatever the umask
}

// volume is the part of a PersistentVolume that matters here.
type volume struct {
	Metadata struct{ Name string }
	Status   struct{ Phase string }
}

// recycle makes volumes usable again whose claims have been deleted. It stands
// in for the provisioner that a cluster with real storage has.
func recycle(ctx context.Context, api *kubeapi.Client) {
	for ctx.Err() == nil {
		err := api.Watch(ctx, volumesAPI, func(event kubeapi.Event) {
			var v volume
			if event.Type == "DELETED" || json.Unmarshal(event.Object, &v) != nil || v.Status.Phase != "Released" {
				return
			}
			node, number, ok := parseVolumeName(v.Metadata.Name)
			if !ok {
				return // a volume that somebody else made
			}
			if err := freshVolume(volumeDir(node, number)); err != nil {
				log.Printf("recycle %s: %v", v.Metadata.Name, err)
				return
			}
			if err := api.Merge(ctx, volumesAPI+"/"+v.Metadata.Name, []byte(`{"spec":{"claimRef":null}}`)); err != nil {
				log.Printf("recycle %s: %v", v.Metadata.Name, err)
			}
		})
		if ctx.Err() == nil {
			log.Printf("watch volumes: %v", err) // the API server is down, or ended the watch as it does now and then
			time.Sleep(time.Second)
		}
	}
}

// parseVolumeName undoes render.VolumeName.
func parseVolumeName(name string) (node string, number int, ok bool) {
	rest, ok := strings.CutPrefix(name, "local-")
	if !ok {
		return "", 0, false
	}
	node, digits, ok := strings.Cut(rest, "-")
	if !ok || node != filepath.Base(node) {
		return "", 0, false
	}
	number, err := strconv.Atoi(digits)
	return node, number, err == nil && number >= 0 && number < layout.VolumesPerNode
}

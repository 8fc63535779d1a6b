{{/* nats.conf. Its digest is an annotation of the pod, so a changed file restarts the server. */}}
{{- define "tradewind.natsConfig" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
# Health for the kubelet; the network policy keeps everyone else out.
http: "0.0.0.0:8222"
# Only processes with a certificate of the operator's authority are let in, as the user that their certificate names.
tls {
  cert_file: /etc/tradewind/tls/tls.crt
  key_file: /etc/tradewind/tls/tls.key
  ca_file: /etc/tradewind/tls/ca.crt
  verify_and_map: true
  timeout: 5
}
jetstream {
  store_dir: /data
  max_file_store: {{ .Values.nats.jetstream.maxFileStore }}
  max_memory_store: {{ .Values.nats.jetstream.maxMemoryStore }}
  sync_interval: {{ .Values.nats.jetstream.syncInterval }}
}
# Who is not listed here gets no connection. Nobody purges, deletes or changes a stream.
authorization {
  users: [
    # The market of this release, by the URI of its certificate: makes the streams of its feeds and adds bars to them.
    {
      user: "spiffe://tradewind/{{ .Release.Namespace }}/market/tradewind-market"
      permissions {
        publish: [
          {{- range $feed := prepend .Values.nats.feeds .Values.market.feed | uniq }}
          {{- $stream := eq $feed "*" | ternary "*" (printf "BARS_%s" ($feed | upper | replace "-" "_")) }}
          "bars.{{ $feed }}.*", "$JS.API.STREAM.CREATE.{{ $stream }}", "$JS.API.STREAM.INFO.{{ $stream }}",
          "$JS.API.CONSUMER.CREATE.{{ $stream }}", "$JS.API.CONSUMER.CREATE.{{ $stream }}.>",
          "$JS.API.CONSUMER.MSG.NEXT.{{ $stream }}.*", "$JS.API.CONSUMER.DELETE.{{ $stream }}.*",
          {{- end }}
        ]
        subscribe: ["_INBOX.>"]
      }
    }
    # Processes that follow feeds, by the subject of their certificates: they read. A follower that lost its place deletes
    # its consumer, whose name only it knows.
    {{- range $process := list "policy" "inference" "risk" }}
    {
      user: "CN={{ $process }},O=tradewind"
      permissions {
        publish: [
          "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.CREATE.*", "$JS.API.CONSUMER.CREATE.*.>",
          "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.DELETE.*.*",
        ]
        subscribe: ["_INBOX.>"]
      }
    }
    {{- end }}
  ]
}
max_payload: 64KB
write_deadline: 5s
{{- end -}}

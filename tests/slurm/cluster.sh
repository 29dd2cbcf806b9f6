#!/usr/bin/env bash
# A real Slurm on one Debian machine: four emulated nodes with two fake GPUs each. Needs root.
#   cluster.sh install    Debian's packages, where they are missing
#   cluster.sh start      munge, accounting (unless ACCOUNTING=0), controller, nodes
#   cluster.sh stop       what start started, by pid file; state is wiped
#   cluster.sh status     nodes and queue
# Debian's slurmd can run several times on one host (`slurmd -N node1`), without name spaces.
set -euo pipefail

ROOT=${SLURM_EMULATION:-/tmp/dmg-slurm}
ACCOUNTING=${ACCOUNTING:-1}
NODES=4 GPUS=2
CPUS=8 MEMORY=5000 # of a node, as claimed: far beyond the machine, so that jobs need not queue for it
SOCKET=/run/mysqld/dmg-slurm.sock
HOST=$(hostname -s)

# Wait for a command to succeed: wait_for SECONDS COMMAND...
wait_for() {
  local tries=$(($1 * 4)); shift
  for _ in $(seq "$tries"); do "$@" >/dev/null 2>&1 && return; sleep 0.25; done
  echo "cluster.sh: gave up waiting for: $*" >&2; return 1
}

running() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; } # by pid file
gone() { ! running "$1"; }

install_packages() {
  command -v slurmctld slurmd slurmdbd sbatch munged mariadbd >/dev/null && return
  apt-get update -qq
  # "policy-rc.d denied execution of start" is harmless: the daemons are started by hand
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd \
    slurm-client munge slurmdbd slurm-wlm-mysql-plugin mariadb-server libpmi2-0 iproute2 procps
}

accounting_settings() {
  if [ "$ACCOUNTING" = 0 ]; then
    echo AccountingStorageType=accounting_storage/none
  else
    printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd \
      AccountingStorageHost=127.0.0.1 AccountingStorageTRES=gres/gpu
  fi
}

# An empty value is an error in slurm.conf, so lines are left out rather than left empty.
write_slurm_conf() {
  cat <<EOF
ClusterName=emulated
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/pid/slurmctld
SlurmdPidFile=$ROOT/pid/%n
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=250
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,sched_min_interval=1000000,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
KillWait=5
MinJobAge=300
InactiveLimit=0
SlurmdTimeout=20
SlurmctldTimeout=30
MessageTimeout=10
UnkillableStepTimeout=30
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
$(accounting_settings)
EOF
  for i in $(seq $NODES); do
    echo "NodeName=node$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((17000 + i)) CPUs=$CPUS Boards=1" \
      "SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEMORY Gres=gpu:$GPUS"
  done
  local all="Nodes=node[1-$NODES] MaxTime=INFINITE DefaultTime=60 State=UP"
  echo "PartitionName=cpu $all Default=YES PriorityTier=10"
  echo "PartitionName=gpu $all PriorityTier=10"
  echo "PartitionName=low $all PriorityTier=1 PreemptMode=REQUEUE GraceTime=5"
  echo "PartitionName=high $all PriorityTier=100 PreemptMode=OFF"
}

# Counting GPUs without device files puts every node in state INVAL; copies of /dev/null do.
make_devices() {
  for i in $(seq 0 $((GPUS - 1))); do
    [ -e "/dev/fakegpu$i" ] || mknod -m 666 "/dev/fakegpu$i" c 1 3
  done
  for i in $(seq $NODES); do
    grep -qw "node$i" /etc/hosts || echo "127.0.0.1 node$i" >>/etc/hosts
  done
}

configure() {
  mkdir -p "$ROOT"/{log,state,spool,pid,mysql} /run/munge /run/mysqld
  for i in $(seq $NODES); do mkdir -p "$ROOT/spool/node$i"; done
  chown munge:munge /run/munge; chown mysql:mysql /run/mysqld "$ROOT/mysql"
  make_devices
  write_slurm_conf >/etc/slurm/slurm.conf
  echo "NodeName=node[1-$NODES] Name=gpu File=/dev/fakegpu[0-$((GPUS - 1))]" >/etc/slurm/gres.conf
}

start_munge() {
  munge -n </dev/null 2>/dev/null | unmunge >/dev/null 2>&1 && return
  if [ ! -s /etc/munge/munge.key ]; then
    dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
    chown munge:munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key
  fi
  runuser -u munge -- munged --pid-file=/run/munge/munged.pid
  cp /run/munge/munged.pid "$ROOT/pid/munged"
}

start_database() {
  [ -d "$ROOT/mysql/mysql" ] || mariadb-install-db --user=mysql --datadir="$ROOT/mysql" \
    --auth-root-authentication-method=socket --skip-test-db >"$ROOT/log/install.log" 2>&1
  setsid mariadbd --no-defaults --user=mysql --datadir="$ROOT/mysql" --socket="$SOCKET" \
    --bind-address=127.0.0.1 --port=3307 --pid-file="$ROOT/mysql/mariadbd.pid" \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
    >"$ROOT/log/mariadb.log" 2>&1 </dev/null &
  wait_for 30 mariadb-admin --socket="$SOCKET" ping
  cp "$ROOT/mysql/mariadbd.pid" "$ROOT/pid/mariadbd"
  mariadb --socket="$SOCKET" -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db;
    CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'emulated';
    CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'emulated';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';"
}

start_accounting() {
  start_database
  printf '%s\n' DbdHost=localhost DbdAddr=127.0.0.1 SlurmUser=root AuthType=auth/munge \
    "LogFile=$ROOT/log/slurmdbd.log" "PidFile=$ROOT/pid/slurmdbd" \
    StorageType=accounting_storage/mysql StorageHost=127.0.0.1 StoragePort=3307 \
    StorageUser=slurm StoragePass=emulated StorageLoc=slurm_acct_db >/etc/slurm/slurmdbd.conf
  chmod 600 /etc/slurm/slurmdbd.conf
  slurmdbd
  wait_for 30 sacctmgr -n show cluster
  sacctmgr -i add cluster emulated >/dev/null || true # it may be there from last time
}

all_idle() { [ "$(sinfo -h -p cpu -t idle -o %D)" = "$NODES" ]; }

start() {
  running "$ROOT/pid/slurmctld" && return
  configure
  start_munge
  if [ "$ACCOUNTING" != 0 ]; then start_accounting; fi
  slurmctld
  wait_for 20 sinfo -h
  for i in $(seq $NODES); do slurmd -N "node$i"; done
  wait_for 20 all_idle
}

empty() { [ -z "$(squeue -h)" ]; }

# The controller takes some seconds to leave; started again too early, it meets its old self.
stop() {
  if running "$ROOT/pid/slurmctld"; then # no process of a job stays behind
    squeue -h -o %A | xargs -r scancel || true
    wait_for 20 empty || true
  fi
  for daemon in $(seq -f 'node%g' $NODES) slurmctld slurmdbd mariadbd munged; do
    running "$ROOT/pid/$daemon" || continue
    kill "$(cat "$ROOT/pid/$daemon")"
    wait_for 20 gone "$ROOT/pid/$daemon"
  done
  rm -rf "$ROOT"
}

case "${1:-}" in
  install) install_packages ;;
  start) start ;;
  stop) stop ;;
  status) sinfo -N -o '%N %t %C %m %G'; squeue ;;
  *) sed -n 2,6p "$0"; exit 2 ;;
esac

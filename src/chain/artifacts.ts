// Made by `npm run contracts` from contracts/src; do not edit.
// source hash: 7246e649ac247989c7e33bd5c118f85bca5dded0bee5728ca668526f9be161a4

export const merkleDistributorAbi = [
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "admin",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "operator",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "guardian",
        "type": "address"
      },
      {
        "internalType": "uint64",
        "name": "timeLock_",
        "type": "uint64"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "constructor"
  },
  {
    "inputs": [],
    "name": "AccessControlBadConfirmation",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "bytes32",
        "name": "neededRole",
        "type": "bytes32"
      }
    ],
    "name": "AccessControlUnauthorizedAccount",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "number",
        "type": "uint64"
      },
      {
        "internalType": "uint64",
        "name": "activeAt",
        "type": "uint64"
      }
    ],
    "name": "BatchStillLocked",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "EnforcedPause",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "ExpectedPause",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "total",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "funded",
        "type": "uint256"
      }
    ],
    "name": "NotFunded",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "surplus",
        "type": "uint256"
      }
    ],
    "name": "NotSurplus",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "cumulative",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "claimed",
        "type": "uint256"
      }
    ],
    "name": "NothingToClaim",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "NothingToRevoke",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "claimedTotal",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "total",
        "type": "uint256"
      }
    ],
    "name": "PromiseExceeded",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "ReentrancyGuardReentrantCall",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "RootMissing",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "SafeERC20FailedOperation",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "timeLock",
        "type": "uint64"
      }
    ],
    "name": "TimeLockOutOfRange",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "expected",
        "type": "uint64"
      },
      {
        "internalType": "uint64",
        "name": "given",
        "type": "uint64"
      }
    ],
    "name": "WrongBatchNumber",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "WrongProof",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "expected",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "given",
        "type": "uint256"
      }
    ],
    "name": "WrongTotal",
    "type": "error"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "uint64",
        "name": "number",
        "type": "uint64"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "root",
        "type": "bytes32"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "total",
        "type": "uint256"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "increase",
        "type": "uint256"
      },
      {
        "indexed": false,
        "internalType": "bytes32",
        "name": "claimsHash",
        "type": "bytes32"
      },
      {
        "indexed": false,
        "internalType": "uint64",
        "name": "activeAt",
        "type": "uint64"
      }
    ],
    "name": "BatchPublished",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "uint64",
        "name": "number",
        "type": "uint64"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "root",
        "type": "bytes32"
      }
    ],
    "name": "BatchRevoked",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "paid",
        "type": "uint256"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "cumulative",
        "type": "uint256"
      }
    ],
    "name": "Claimed",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": false,
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "Paused",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "previousAdminRole",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "newAdminRole",
        "type": "bytes32"
      }
    ],
    "name": "RoleAdminChanged",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "sender",
        "type": "address"
      }
    ],
    "name": "RoleGranted",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "sender",
        "type": "address"
      }
    ],
    "name": "RoleRevoked",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "SurplusWithdrawn",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": false,
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "Unpaused",
    "type": "event"
  },
  {
    "inputs": [],
    "name": "DEFAULT_ADMIN_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "GUARDIAN_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "OPERATOR_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "TIME_LOCK_MAX",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "batchInForce",
    "outputs": [
      {
        "components": [
          {
            "internalType": "bytes32",
            "name": "root",
            "type": "bytes32"
          },
          {
            "internalType": "uint256",
            "name": "total",
            "type": "uint256"
          },
          {
            "internalType": "uint64",
            "name": "number",
            "type": "uint64"
          },
          {
            "internalType": "uint64",
            "name": "activeAt",
            "type": "uint64"
          }
        ],
        "internalType": "struct MerkleDistributor.Batch",
        "name": "",
        "type": "tuple"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "batchWaiting",
    "outputs": [
      {
        "components": [
          {
            "internalType": "bytes32",
            "name": "root",
            "type": "bytes32"
          },
          {
            "internalType": "uint256",
            "name": "total",
            "type": "uint256"
          },
          {
            "internalType": "uint64",
            "name": "number",
            "type": "uint64"
          },
          {
            "internalType": "uint64",
            "name": "activeAt",
            "type": "uint64"
          }
        ],
        "internalType": "struct MerkleDistributor.Batch",
        "name": "",
        "type": "tuple"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "cumulative",
        "type": "uint256"
      },
      {
        "internalType": "bytes32[]",
        "name": "proof",
        "type": "bytes32[]"
      }
    ],
    "name": "claim",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "claimed",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "claimedTotal",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "funded",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      }
    ],
    "name": "getRoleAdmin",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "grantRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "hasRole",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "lastNumber",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "cumulative",
        "type": "uint256"
      }
    ],
    "name": "leafOf",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "pause",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "paused",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "uint64",
        "name": "number",
        "type": "uint64"
      },
      {
        "internalType": "bytes32",
        "name": "root",
        "type": "bytes32"
      },
      {
        "internalType": "uint256",
        "name": "increase",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "total",
        "type": "uint256"
      },
      {
        "internalType": "bytes32",
        "name": "claimsHash",
        "type": "bytes32"
      }
    ],
    "name": "publish",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "callerConfirmation",
        "type": "address"
      }
    ],
    "name": "renounceRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "uint64",
        "name": "number",
        "type": "uint64"
      }
    ],
    "name": "revoke",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "revokeRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes4",
        "name": "interfaceId",
        "type": "bytes4"
      }
    ],
    "name": "supportsInterface",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "timeLock",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "unpause",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "withdrawSurplus",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  }
] as const;

export const merkleDistributorBytecode =
  '0x60a060405234801561001057600080fd5b50604051611f14380380611f1483398101604081905261002f916101e1565b60017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f00556001600160401b0381161580610074575062093a806001600160401b038216115b156100a15760405163178e543d60e21b81526001600160401b038216600482015260240160405180910390fd5b6001600160401b0381166080526100b9600085610119565b506100e47f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b92984610119565b5061010f7f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a504183610119565b5050505050610244565b6000828152602081815260408083206001600160a01b038516845290915281205460ff166101bb576000838152602081815260408083206001600160a01b03861684529091529020805460ff191660011790556101733390565b6001600160a01b0316826001600160a01b0316847f2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d60405160405180910390a45060016101bf565b5060005b92915050565b80516001600160a01b03811681146101dc57600080fd5b919050565b600080600080608085870312156101f757600080fd5b610200856101c5565b935061020e602086016101c5565b925061021c604086016101c5565b60608601519092506001600160401b038116811461023957600080fd5b939692955090935050565b608051611cae610266600039600081816103e40152610c180152611cae6000f3fe608060405234801561001057600080fd5b50600436106101a35760003560e01c80637f047b07116100ee578063d085835a11610097578063e15b7c6611610071578063e15b7c66146104c6578063ea66b87514610509578063f5b541a614610542578063fabed4121461056957600080fd5b8063d085835a146103e2578063d547741f14610408578063e02912a41461041b57600080fd5b8063a217fddf116100c8578063a217fddf146103b4578063b516fd98146103bc578063c84c7c97146103cf57600080fd5b80637f047b07146103555780638456cb591461036857806391d148541461037057600080fd5b80632f2ff15d1161015057806345f9fc781161012a57806345f9fc78146103245780635ba216f6146103375780635c975abb1461034a57600080fd5b80632f2ff15d146102f457806336568abe146103095780633f4ba83a1461031c57600080fd5b80631e13370f116101815780631e13370f1461024b578063248a9ca3146102aa57806324ea54f4146102cd57600080fd5b806301ffc9a7146101a8578063043b636c146101d05780630c9cbf0e146101f3575b600080fd5b6101bb6101b636600461196b565b61057c565b60405190151581526020015b60405180910390f35b6101da62093a8081565b60405167ffffffffffffffff90911681526020016101c7565b61023d6102013660046119cf565b73ffffffffffffffffffffffffffffffffffffffff91821660009081526002602090815260408083209390941682526008909201909152205490565b6040519081526020016101c7565b61025e610259366004611a08565b610615565b6040516101c791906000608082019050825182526020830151602083015267ffffffffffffffff604084015116604083015267ffffffffffffffff606084015116606083015292915050565b61023d6102b8366004611a25565b60009081526020819052604090206001015490565b61023d7f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a504181565b610307610302366004611a3e565b6106d6565b005b610307610317366004611a3e565b610701565b61030761075f565b61023d610332366004611a08565b610775565b610307610345366004611a80565b6107a5565b60015460ff166101bb565b610307610363366004611ab5565b610944565b610307610d9b565b6101bb61037e366004611a3e565b60009182526020828152604080842073ffffffffffffffffffffffffffffffffffffffff93909316845291905290205460ff1690565b61023d600081565b6103076103ca366004611b0c565b610dcd565b61025e6103dd366004611a08565b610f51565b7f00000000000000000000000000000000000000000000000000000000000000006101da565b610307610416366004611a3e565b610f9f565b61023d610429366004611b0c565b60408051466020820152309181019190915273ffffffffffffffffffffffffffffffffffffffff80851660608301528316608082015260a0810182905260009060c001604080517fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0818403018152828252805160209182012090830152016040516020818303038152906040528051906020012090509392505050565b6101da6104d4366004611a08565b73ffffffffffffffffffffffffffffffffffffffff1660009081526002602052604090206006015467ffffffffffffffff1690565b61023d610517366004611a08565b73ffffffffffffffffffffffffffffffffffffffff1660009081526002602052604090206007015490565b61023d7f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b92981565b610307610577366004611b4d565b610fc4565b60007fffffffff0000000000000000000000000000000000000000000000000000000082167f7965db0b00000000000000000000000000000000000000000000000000000000148061060f57507f01ffc9a7000000000000000000000000000000000000000000000000000000007fffffffff000000000000000000000000000000000000000000000000000000008316145b92915050565b604080516080808201835260008083526020808401829052838501829052606080850183905273ffffffffffffffffffffffffffffffffffffffff87168352600282529185902085519384018652600381015484526004810154918401919091526005015467ffffffffffffffff808216958401959095526801000000000000000090049093169281018390529091421061060f576040805160808101825260008082526020820181905291810182905260608101919091525b9392505050565b6000828152602081905260409020600101546106f181611263565b6106fb838361126d565b50505050565b73ffffffffffffffffffffffffffffffffffffffff81163314610750576040517f6697b23200000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b61075a8282611369565b505050565b600061076a81611263565b610772611424565b50565b73ffffffffffffffffffffffffffffffffffffffff8116600090815260026020526040812061060f9083906114a1565b7f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a50416107cf81611263565b73ffffffffffffffffffffffffffffffffffffffff8316600090815260026020908152604091829020825160808101845260038201548152600482015492810192909252600581015467ffffffffffffffff8082169484019490945268010000000000000000900483166060830152918416158061086557508367ffffffffffffffff16816040015167ffffffffffffffff1614155b8061087e5750806060015167ffffffffffffffff164210155b156108b5576040517f8031133c00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b600060038301819055600483018190556005830180547fffffffffffffffffffffffffffffffff000000000000000000000000000000001690558151604051909167ffffffffffffffff87169173ffffffffffffffffffffffffffffffffffffffff8916917fdf8c0720a7b17f5b18a7cf91a5428c0b1ecfe12a7be5de9c26dbd9ef2207baa591a45050505050565b7f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b92961096e81611263565b610976611542565b73ffffffffffffffffffffffffffffffffffffffff87166000908152600260205260408120908690036109d5576040517fdee9837000000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b60068101546109ef9067ffffffffffffffff166001611c20565b67ffffffffffffffff168767ffffffffffffffff1614610a6f576006810154610a239067ffffffffffffffff166001611c20565b6040517ff6d1afa300000000000000000000000000000000000000000000000000000000815267ffffffffffffffff918216600482015290881660248201526044015b60405180910390fd5b600581015467ffffffffffffffff1615610b6757600581015468010000000000000000900467ffffffffffffffff16421015610afe5760058101546040517fb446873700000000000000000000000000000000000000000000000000000000815267ffffffffffffffff8083166004830152680100000000000000009092049091166024820152604401610a66565b600381015481556004810154600182015560058101546002820180546801000000000000000080840467ffffffffffffffff9081169091027fffffffffffffffffffffffffffffffff000000000000000000000000000000009092169316929092179190911790555b6001810154600090610b7a908790611c40565b9050808514610bbf576040517f204784740000000000000000000000000000000000000000000000000000000081526004810182905260248101869052604401610a66565b6000610bcb8a846114a1565b905080861115610c11576040517f67fd92ae0000000000000000000000000000000000000000000000000000000081526004810187905260248101829052604401610a66565b6000610c3d7f000000000000000000000000000000000000000000000000000000000000000042611c20565b60068501805467ffffffffffffffff808e167fffffffffffffffffffffffffffffffffffffffffffffffff00000000000000009092168217909255604080516080810182528d8152602081018c90528082018390529284166060909301839052600388018d9055600488018b9055600588018054680100000000000000009094027fffffffffffffffffffffffffffffffff0000000000000000000000000000000090941683179390931790925590519192508a9173ffffffffffffffffffffffffffffffffffffffff8e16907f75fd353d4cc4962583181bd8d06b1e0fc67586114368d049e270b712dde5612990610d5d908c908e908d9089909384526020840192909252604083015267ffffffffffffffff16606082015260800190565b60405180910390a450505050610d9260017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b50505050505050565b7f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a5041610dc581611263565b610772611570565b6000610dd881611263565b610de0611542565b73ffffffffffffffffffffffffffffffffffffffff84166000908152600260205260408120600581015490919067ffffffffffffffff1615610e26576004820154610e2c565b60018201545b90506000610e3a87846114a1565b90506000828211610e4c576000610e56565b610e568383611c53565b905080861115610e9c576040517f9b4dc4090000000000000000000000000000000000000000000000000000000081526004810187905260248101829052604401610a66565b8673ffffffffffffffffffffffffffffffffffffffff168873ffffffffffffffffffffffffffffffffffffffff167f35325b58b52583a05e1085a13763f4b3400154b793dedbac7371ee26a894004388604051610efb91815260200190565b60405180910390a3610f2473ffffffffffffffffffffffffffffffffffffffff891688886115c9565b505050506106fb60017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b60408051608081018252600080825260208083018290528284018290526060830182905273ffffffffffffffffffffffffffffffffffffffff85168252600290529190912061060f90611624565b600082815260208190526040902060010154610fba81611263565b6106fb8383611369565b610fcc611542565b610fd46116f6565b73ffffffffffffffffffffffffffffffffffffffff851660009081526002602052604081209061100382611624565b80516040805146602080830191909152308284015273ffffffffffffffffffffffffffffffffffffffff808d1660608401528b16608083015260a08083018b90528351808403909101815260c08301845280519082012060e08084019190915283518084039091018152610100909201909252805191012091925061108b9186918691611735565b6110c1576040517f923983b900000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b73ffffffffffffffffffffffffffffffffffffffff8616600090815260088301602052604090205480861161112c576040517fdb2e10630000000000000000000000000000000000000000000000000000000081526004810187905260248101829052604401610a66565b60006111388288611c53565b9050600081856007015461114c9190611c40565b9050836020015181111561119c5760208401516040517f551fcc0a000000000000000000000000000000000000000000000000000000008152610a66918391600401918252602082015260400190565b73ffffffffffffffffffffffffffffffffffffffff89811660008181526008880160209081526040918290208c90556007890185905581518681529081018c905291928d16917f2f6639d24651730c7bf57c95ddbf96d66d11477e4ec626876f92c22e5f365e68910160405180910390a361122e73ffffffffffffffffffffffffffffffffffffffff8b168a846115c9565b505050505061125c60017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b5050505050565b610772813361174d565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915281205460ff166113615760008381526020818152604080832073ffffffffffffffffffffffffffffffffffffffff86168452909152902080547fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff001660011790556112ff3390565b73ffffffffffffffffffffffffffffffffffffffff168273ffffffffffffffffffffffffffffffffffffffff16847f2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d60405160405180910390a450600161060f565b50600061060f565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915281205460ff16156113615760008381526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8616808552925280832080547fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0016905551339286917ff6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b9190a450600161060f565b61142c6117d7565b600180547fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff001690557f5db9ee0a495bf2e6ff9c91a7834c1ba4fdd244a5e8aa4e537bd38aeae4b073aa335b60405173ffffffffffffffffffffffffffffffffffffffff909116815260200160405180910390a1565b60078101546040517f70a082310000000000000000000000000000000000000000000000000000000081523060048201526000919073ffffffffffffffffffffffffffffffffffffffff8516906370a0823190602401602060405180830381865afa158015611514573d6000803e3d6000fd5b505050506040513d601f19601f820116820180604052508101906115389190611c66565b6106cf9190611c40565b61154a611813565b60027f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b6115786116f6565b600180547fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0016811790557f62e78cea01bee320cd4e420270b5ea74000d11b0c9f74754ebdbfc544b05a25833611477565b6115d6838383600161186e565b61075a576040517f5274afe700000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff84166004820152602401610a66565b604080516080810182526000808252602082018190529181018290526060810191909152604080516080810182526003840154815260048401546020820152600584015467ffffffffffffffff8082169383018490526801000000000000000090910416606082015290158015906116aa5750806060015167ffffffffffffffff164210155b61060f57505060408051608081018252825481526001830154602082015260029092015467ffffffffffffffff8082169284019290925268010000000000000000900416606082015290565b60015460ff1615611733576040517fd93c066500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b565b6000826117438686856118fa565b1495945050505050565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915290205460ff166117d3576040517fe2517d3f00000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff8216600482015260248101839052604401610a66565b5050565b60015460ff16611733576040517f8dfc202b00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b7f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0054600203611733576040517f3ee5aeb500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6040517fa9059cbb00000000000000000000000000000000000000000000000000000000600081815273ffffffffffffffffffffffffffffffffffffffff8616600452602485905291602083604481808b5af1925060016000511483166118ee5783831516156118e1573d6000823e3d81fd5b6000873b113d1516831692505b60405250949350505050565b600081815b84811015611933576119298287878481811061191d5761191d611c7f565b9050602002013561193c565b91506001016118ff565b50949350505050565b60008183106119585760008281526020849052604090206106cf565b60008381526020839052604090206106cf565b60006020828403121561197d57600080fd5b81357fffffffff00000000000000000000000000000000000000000000000000000000811681146106cf57600080fd5b73ffffffffffffffffffffffffffffffffffffffff8116811461077257600080fd5b600080604083850312156119e257600080fd5b82356119ed816119ad565b915060208301356119fd816119ad565b809150509250929050565b600060208284031215611a1a57600080fd5b81356106cf816119ad565b600060208284031215611a3757600080fd5b5035919050565b60008060408385031215611a5157600080fd5b8235915060208301356119fd816119ad565b803567ffffffffffffffff81168114611a7b57600080fd5b919050565b60008060408385031215611a9357600080fd5b8235611a9e816119ad565b9150611aac60208401611a63565b90509250929050565b60008060008060008060c08789031215611ace57600080fd5b8635611ad9816119ad565b9550611ae760208801611a63565b95989597505050506040840135936060810135936080820135935060a0909101359150565b600080600060608486031215611b2157600080fd5b8335611b2c816119ad565b92506020840135611b3c816119ad565b929592945050506040919091013590565b600080600080600060808688031215611b6557600080fd5b8535611b70816119ad565b94506020860135611b80816119ad565b935060408601359250606086013567ffffffffffffffff811115611ba357600080fd5b8601601f81018813611bb457600080fd5b803567ffffffffffffffff811115611bcb57600080fd5b8860208260051b8401011115611be057600080fd5b959894975092955050506020019190565b7f4e487b7100000000000000000000000000000000000000000000000000000000600052601160045260246000fd5b67ffffffffffffffff818116838216019081111561060f5761060f611bf1565b8082018082111561060f5761060f611bf1565b8181038181111561060f5761060f611bf1565b600060208284031215611c7857600080fd5b5051919050565b7f4e487b7100000000000000000000000000000000000000000000000000000000600052603260045260246000fd';

export const providerCollateralAbi = [
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "admin",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "operator",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "guardian",
        "type": "address"
      },
      {
        "internalType": "contract IERC20[]",
        "name": "tokens",
        "type": "address[]"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "constructor"
  },
  {
    "inputs": [],
    "name": "AccessControlBadConfirmation",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "bytes32",
        "name": "neededRole",
        "type": "bytes32"
      }
    ],
    "name": "AccessControlUnauthorizedAccount",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "AmountMissing",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "EnforcedPause",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "ExpectedPause",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "until",
        "type": "uint64"
      }
    ],
    "name": "FreezeOutOfRange",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "locked",
        "type": "uint256"
      }
    ],
    "name": "NotEnoughLocked",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "slashed",
        "type": "uint256"
      }
    ],
    "name": "NotEnoughSlashed",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "NothingReceived",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "NothingToSlash",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "NothingWaiting",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "reason",
        "type": "bytes32"
      }
    ],
    "name": "ReasonUsed",
    "type": "error"
  },
  {
    "inputs": [],
    "name": "ReentrancyGuardReentrantCall",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "SafeERC20FailedOperation",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "until",
        "type": "uint64"
      }
    ],
    "name": "StillFrozen",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "refundableAt",
        "type": "uint64"
      }
    ],
    "name": "StillWaiting",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "TokenNotAccepted",
    "type": "error"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint64",
        "name": "until",
        "type": "uint64"
      }
    ],
    "name": "AccountFrozen",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "received",
        "type": "uint256"
      }
    ],
    "name": "Deposited",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": false,
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "Paused",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "locked",
        "type": "uint256"
      }
    ],
    "name": "RefundCancelled",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "waiting",
        "type": "uint256"
      },
      {
        "indexed": false,
        "internalType": "uint64",
        "name": "refundableAt",
        "type": "uint64"
      }
    ],
    "name": "RefundRequested",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "Refunded",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "previousAdminRole",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "newAdminRole",
        "type": "bytes32"
      }
    ],
    "name": "RoleAdminChanged",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "sender",
        "type": "address"
      }
    ],
    "name": "RoleGranted",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "sender",
        "type": "address"
      }
    ],
    "name": "RoleRevoked",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "reason",
        "type": "bytes32"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "taken",
        "type": "uint256"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "asked",
        "type": "uint256"
      }
    ],
    "name": "Slashed",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "SlashedWithdrawn",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "TokenAccepted",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "TokenRefused",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": false,
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "Unpaused",
    "type": "event"
  },
  {
    "inputs": [],
    "name": "DEFAULT_ADMIN_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "FREEZE_MAX",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "GUARDIAN_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "OPERATOR_ROLE",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "REFUND_WAIT",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "acceptToken",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "accepted",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "cancelRefund",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "deposit",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "uint64",
        "name": "until",
        "type": "uint64"
      }
    ],
    "name": "freeze",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "frozenUntil",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      }
    ],
    "name": "getRoleAdmin",
    "outputs": [
      {
        "internalType": "bytes32",
        "name": "",
        "type": "bytes32"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "grantRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "hasRole",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "pause",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "paused",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "pledgeOf",
    "outputs": [
      {
        "components": [
          {
            "internalType": "uint256",
            "name": "locked",
            "type": "uint256"
          },
          {
            "internalType": "uint256",
            "name": "waiting",
            "type": "uint256"
          },
          {
            "internalType": "uint64",
            "name": "refundableAt",
            "type": "uint64"
          }
        ],
        "internalType": "struct ProviderCollateral.Pledge",
        "name": "",
        "type": "tuple"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "reason",
        "type": "bytes32"
      }
    ],
    "name": "reasonUsed",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "refund",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "refuseToken",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "callerConfirmation",
        "type": "address"
      }
    ],
    "name": "renounceRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "requestRefund",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "role",
        "type": "bytes32"
      },
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "revokeRole",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      },
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      },
      {
        "internalType": "bytes32",
        "name": "reason",
        "type": "bytes32"
      }
    ],
    "name": "slash",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      }
    ],
    "name": "slashed",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "bytes4",
        "name": "interfaceId",
        "type": "bytes4"
      }
    ],
    "name": "supportsInterface",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "unpause",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "contract IERC20",
        "name": "token",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "withdrawSlashed",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  }
] as const;

export const providerCollateralBytecode =
  '0x608060405234801561001057600080fd5b50604051611f42380380611f4283398101604081905261002f91610231565b60017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f005561005e6000856100fb565b506100897f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b929846100fb565b506100b47f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a5041836100fb565b5060005b81518110156100f1576100e98282815181106100d6576100d661033b565b60200260200101516101a760201b60201c565b6001016100b8565b5050505050610351565b6000828152602081815260408083206001600160a01b038516845290915281205460ff1661019d576000838152602081815260408083206001600160a01b03861684529091529020805460ff191660011790556101553390565b6001600160a01b0316826001600160a01b0316847f2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d60405160405180910390a45060016101a1565b5060005b92915050565b6001600160a01b038116600081815260026020526040808220805460ff19166001179055517fe4df650e2522b02c6cc21077e0b1f0a309fae4cd349a9b02045135099fe94a649190a250565b6001600160a01b038116811461020857600080fd5b50565b634e487b7160e01b600052604160045260246000fd5b805161022c816101f3565b919050565b6000806000806080858703121561024757600080fd5b8451610252816101f3565b6020860151909450610263816101f3565b6040860151909350610274816101f3565b60608601519092506001600160401b0381111561029057600080fd5b8501601f810187136102a157600080fd5b80516001600160401b038111156102ba576102ba61020b565b604051600582901b90603f8201601f191681016001600160401b03811182821017156102e8576102e861020b565b60405291825260208184018101929081018a84111561030657600080fd5b6020850194505b8385101561032c5761031e85610221565b81526020948501940161030d565b50969995985093965050505050565b634e487b7160e01b600052603260045260246000fd5b611be2806103606000396000f3fe608060405234801561001057600080fd5b50600436106101c45760003560e01c80638cd3f064116100f9578063c215290a11610097578063e8cc7f1e11610071578063e8cc7f1e1461048b578063eb21a8c51461049e578063f5b541a6146104c1578063fa89401a146104e857600080fd5b8063c215290a1461042e578063d547741f1461046e578063d7145ba71461048157600080fd5b8063a217fddf116100d3578063a217fddf146103ed578063a527f1dc146103f5578063acb8898614610408578063b742cedb1461041b57600080fd5b80638cd3f0641461038357806391d148541461039657806399652de7146103da57600080fd5b806347e7ef241161016657806365c866351161014057806365c86635146102e35780638456cb591461032257806388f1829e1461032a5780638bcfa6651461034d57600080fd5b806347e7ef24146102b25780634ab89400146102c55780635c975abb146102d857600080fd5b80632b34af70116101a25780632b34af70146102495780632f2ff15d1461028257806336568abe146102975780633f4ba83a146102aa57600080fd5b806301ffc9a7146101c9578063248a9ca3146101f157806324ea54f414610222575b600080fd5b6101dc6101d7366004611967565b6104fb565b60405190151581526020015b60405180910390f35b6102146101ff3660046119b0565b60009081526020819052604090206001015490565b6040519081526020016101e8565b6102147f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a504181565b6101dc6102573660046119eb565b73ffffffffffffffffffffffffffffffffffffffff1660009081526002602052604090205460ff1690565b610295610290366004611a08565b610594565b005b6102956102a5366004611a08565b6105bf565b61029561061d565b6102956102c0366004611a38565b610633565b6102956102d33660046119eb565b61090e565b60015460ff166101dc565b6102f66102f1366004611a64565b610a1d565b6040805182518152602080840151908201529181015167ffffffffffffffff16908201526060016101e8565b610295610ab1565b61033462093a8081565b60405167ffffffffffffffff90911681526020016101e8565b61021461035b3660046119eb565b73ffffffffffffffffffffffffffffffffffffffff1660009081526006602052604090205490565b6102956103913660046119eb565b610ae3565b6101dc6103a4366004611a08565b60009182526020828152604080842073ffffffffffffffffffffffffffffffffffffffff93909316845291905290205460ff1690565b6102956103e8366004611a38565b610af7565b610214600081565b610295610403366004611a92565b610c86565b610295610416366004611ad8565b610e9f565b610295610429366004611b13565b610fb8565b61033461043c3660046119eb565b73ffffffffffffffffffffffffffffffffffffffff1660009081526004602052604090205467ffffffffffffffff1690565b61029561047c366004611a08565b6110ed565b61033462278d0081565b6102956104993660046119eb565b611112565b6101dc6104ac3660046119b0565b60009081526005602052604090205460ff1690565b6102147f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b92981565b6102956104f63660046119eb565b611174565b60007fffffffff0000000000000000000000000000000000000000000000000000000082167f7965db0b00000000000000000000000000000000000000000000000000000000148061058e57507f01ffc9a7000000000000000000000000000000000000000000000000000000007fffffffff000000000000000000000000000000000000000000000000000000008316145b92915050565b6000828152602081905260409020600101546105af8161138a565b6105b98383611394565b50505050565b73ffffffffffffffffffffffffffffffffffffffff8116331461060e576040517f6697b23200000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6106188282611472565b505050565b60006106288161138a565b61063061150f565b50565b61063b61156e565b61064361159c565b73ffffffffffffffffffffffffffffffffffffffff821660009081526002602052604090205460ff166106bf576040517ff01157c300000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff831660048201526024015b60405180910390fd5b6040517f70a0823100000000000000000000000000000000000000000000000000000000815230600482015260009073ffffffffffffffffffffffffffffffffffffffff8416906370a0823190602401602060405180830381865afa15801561072c573d6000803e3d6000fd5b505050506040513d601f19601f820116820180604052508101906107509190611b54565b905061077473ffffffffffffffffffffffffffffffffffffffff84163330856115db565b6040517f70a08231000000000000000000000000000000000000000000000000000000008152306004820152600090829073ffffffffffffffffffffffffffffffffffffffff8616906370a0823190602401602060405180830381865afa1580156107e3573d6000803e3d6000fd5b505050506040513d601f19601f820116820180604052508101906108079190611b54565b6108119190611b9c565b90508060000361084d576040517fb5c74a2700000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b33600090815260036020908152604080832073ffffffffffffffffffffffffffffffffffffffff881684529091528120805483929061088d908490611baf565b909155505060405181815273ffffffffffffffffffffffffffffffffffffffff85169033907f8752a472e571a816aea92eec8dae9baf628e840f4929fbcc2d155e6233ff68a79060200160405180910390a3505061090a60017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b5050565b33600090815260036020908152604080832073ffffffffffffffffffffffffffffffffffffffff851684529091528120600181015490910361097c576040517f766376b600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b80600101548160000160008282546109949190611baf565b9091555050600060018201556002810180547fffffffffffffffffffffffffffffffffffffffffffffffff0000000000000000169055805460405190815273ffffffffffffffffffffffffffffffffffffffff83169033907f854cbd55fb35c28ea263ca1dd52c45d2df499fbbc2f6cf5f373f1a8c22b55bef9060200160405180910390a35050565b610a4b60405180606001604052806000815260200160008152602001600067ffffffffffffffff1681525090565b5073ffffffffffffffffffffffffffffffffffffffff91821660009081526003602090815260408083209390941682529182528290208251606081018452815481526001820154928101929092526002015467ffffffffffffffff169181019190915290565b7f55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a5041610adb8161138a565b610630611637565b6000610aee8161138a565b61090a82611672565b33600090815260036020908152604080832073ffffffffffffffffffffffffffffffffffffffff86168452909152812090829003610b61576040517f7dd2de8700000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b8054821115610ba95780546040517f119027b00000000000000000000000000000000000000000000000000000000081526106b6918491600401918252602082015260400190565b6000610bb862093a8042611bc2565b905082826000016000828254610bce9190611b9c565b9250508190555082826001016000828254610be99190611baf565b90915550506002820180547fffffffffffffffffffffffffffffffffffffffffffffffff00000000000000001667ffffffffffffffff8316908117909155600183015460408051918252602082019290925273ffffffffffffffffffffffffffffffffffffffff86169133917f41cb19c2ff3b701790793884d9008a7b1998d395e5de37901313cc2bb783f97b910160405180910390a350505050565b7f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b929610cb08161138a565b60008281526005602052604090205460ff1615610cfc576040517f0f6147af000000000000000000000000000000000000000000000000000000008152600481018390526024016106b6565b73ffffffffffffffffffffffffffffffffffffffff8086166000908152600360209081526040808320938816835292905290812080549091908510610d42578154610d44565b845b90506000610d528287611b9c565b9050600083600101548210610d6b578360010154610d6d565b815b90506000610d7b8285611baf565b905080600003610db7576040517f38fbeb3400000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6000878152600560205260408120805460ff19166001179055855485918791610de1908490611b9c565b9250508190555081856001016000828254610dfc9190611b9c565b909155505073ffffffffffffffffffffffffffffffffffffffff891660009081526006602052604081208054839290610e36908490611baf565b909155505060408051828152602081018a9052889173ffffffffffffffffffffffffffffffffffffffff808d1692908e16917f23c5655ec4fa6cd89b113f0ea95b8e5b7d70993d61a577d90d9a4b9c5ee64002910160405180910390a450505050505050505050565b7f97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b929610ec98161138a565b610ed662278d0042611baf565b8267ffffffffffffffff161115610f25576040517ffee6507d00000000000000000000000000000000000000000000000000000000815267ffffffffffffffff831660048201526024016106b6565b73ffffffffffffffffffffffffffffffffffffffff831660008181526004602090815260409182902080547fffffffffffffffffffffffffffffffffffffffffffffffff00000000000000001667ffffffffffffffff871690811790915591519182527f7a6c317c0cb510361349364a1d4ddaaf1dec7844879ad2fd327880b21dd94465910160405180910390a2505050565b6000610fc38161138a565b610fcb61156e565b73ffffffffffffffffffffffffffffffffffffffff841660009081526006602052604090205480831115611035576040517fc9f9d4f200000000000000000000000000000000000000000000000000000000815260048101849052602481018290526044016106b6565b61103f8382611b9c565b73ffffffffffffffffffffffffffffffffffffffff86811660008181526006602090815260409182902094909455518681529187169290917f1c786155709ec9d8625b5c9877e812e6f888bc969e134a3d850ed054686b7fe4910160405180910390a36110c373ffffffffffffffffffffffffffffffffffffffff861685856116cb565b506105b960017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b6000828152602081905260409020600101546111088161138a565b6105b98383611472565b600061111d8161138a565b73ffffffffffffffffffffffffffffffffffffffff8216600081815260026020526040808220805460ff19169055517f58294a437cc18ae8f0e3511375937bd002cceda482a904000104b90b26aca8e79190a25050565b61117c61156e565b61118461159c565b33600090815260036020908152604080832073ffffffffffffffffffffffffffffffffffffffff851684529091528120600181015490918190036111f4576040517f766376b600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b600282015467ffffffffffffffff1642101561124e5760028201546040517f4c5cbaf800000000000000000000000000000000000000000000000000000000815267ffffffffffffffff90911660048201526024016106b6565b3360009081526004602052604090205467ffffffffffffffff164210156112c057336000908152600460208190526040918290205491517f14d2318f00000000000000000000000000000000000000000000000000000000815267ffffffffffffffff909216908201526024016106b6565b600060018301556002820180547fffffffffffffffffffffffffffffffffffffffffffffffff000000000000000016905560405181815273ffffffffffffffffffffffffffffffffffffffff84169033907fec1e5ed733e00f1a00915d56caef57b4f52312dde4f9b3165f213319a0da156b9060200160405180910390a361135f73ffffffffffffffffffffffffffffffffffffffff841633836116cb565b505061063060017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b6106308133611726565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915281205460ff1661146a5760008381526020818152604080832073ffffffffffffffffffffffffffffffffffffffff861684529091529020805460ff191660011790556114083390565b73ffffffffffffffffffffffffffffffffffffffff168273ffffffffffffffffffffffffffffffffffffffff16847f2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d60405160405180910390a450600161058e565b50600061058e565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915281205460ff161561146a5760008381526020818152604080832073ffffffffffffffffffffffffffffffffffffffff86168085529252808320805460ff1916905551339286917ff6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b9190a450600161058e565b6115176117ac565b6001805460ff191690557f5db9ee0a495bf2e6ff9c91a7834c1ba4fdd244a5e8aa4e537bd38aeae4b073aa335b60405173ffffffffffffffffffffffffffffffffffffffff909116815260200160405180910390a1565b6115766117e8565b60027f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0055565b60015460ff16156115d9576040517fd93c066500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b565b6115e9848484846001611843565b6105b9576040517f5274afe700000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff851660048201526024016106b6565b61163f61159c565b6001805460ff1916811790557f62e78cea01bee320cd4e420270b5ea74000d11b0c9f74754ebdbfc544b05a25833611544565b73ffffffffffffffffffffffffffffffffffffffff8116600081815260026020526040808220805460ff19166001179055517fe4df650e2522b02c6cc21077e0b1f0a309fae4cd349a9b02045135099fe94a649190a250565b6116d883838360016118db565b610618576040517f5274afe700000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff841660048201526024016106b6565b60008281526020818152604080832073ffffffffffffffffffffffffffffffffffffffff8516845290915290205460ff1661090a576040517fe2517d3f00000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff82166004820152602481018390526044016106b6565b60015460ff166115d9576040517f8dfc202b00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b7f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f00546002036115d9576040517f3ee5aeb500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6040517f23b872dd00000000000000000000000000000000000000000000000000000000600081815273ffffffffffffffffffffffffffffffffffffffff8781166004528616602452604485905291602083606481808c5af1925060016000511483166118c95783831516156118bc573d6000823e3d81fd5b6000883b113d1516831692505b60405250600060605295945050505050565b6040517fa9059cbb00000000000000000000000000000000000000000000000000000000600081815273ffffffffffffffffffffffffffffffffffffffff8616600452602485905291602083604481808b5af19250600160005114831661195b57838315161561194e573d6000823e3d81fd5b6000873b113d1516831692505b60405250949350505050565b60006020828403121561197957600080fd5b81357fffffffff00000000000000000000000000000000000000000000000000000000811681146119a957600080fd5b9392505050565b6000602082840312156119c257600080fd5b5035919050565b73ffffffffffffffffffffffffffffffffffffffff8116811461063057600080fd5b6000602082840312156119fd57600080fd5b81356119a9816119c9565b60008060408385031215611a1b57600080fd5b823591506020830135611a2d816119c9565b809150509250929050565b60008060408385031215611a4b57600080fd5b8235611a56816119c9565b946020939093013593505050565b60008060408385031215611a7757600080fd5b8235611a82816119c9565b91506020830135611a2d816119c9565b60008060008060808587031215611aa857600080fd5b8435611ab3816119c9565b93506020850135611ac3816119c9565b93969395505050506040820135916060013590565b60008060408385031215611aeb57600080fd5b8235611af6816119c9565b9150602083013567ffffffffffffffff81168114611a2d57600080fd5b600080600060608486031215611b2857600080fd5b8335611b33816119c9565b92506020840135611b43816119c9565b929592945050506040919091013590565b600060208284031215611b6657600080fd5b5051919050565b7f4e487b7100000000000000000000000000000000000000000000000000000000600052601160045260246000fd5b8181038181111561058e5761058e611b6d565b8082018082111561058e5761058e611b6d565b67ffffffffffffffff818116838216019081111561058e5761058e611b6d56';

export const testTokenAbi = [
  {
    "inputs": [
      {
        "internalType": "string",
        "name": "name",
        "type": "string"
      },
      {
        "internalType": "string",
        "name": "symbol",
        "type": "string"
      },
      {
        "internalType": "uint8",
        "name": "decimals_",
        "type": "uint8"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "constructor"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "spender",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "allowance",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "needed",
        "type": "uint256"
      }
    ],
    "name": "ERC20InsufficientAllowance",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "sender",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "balance",
        "type": "uint256"
      },
      {
        "internalType": "uint256",
        "name": "needed",
        "type": "uint256"
      }
    ],
    "name": "ERC20InsufficientBalance",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "approver",
        "type": "address"
      }
    ],
    "name": "ERC20InvalidApprover",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "receiver",
        "type": "address"
      }
    ],
    "name": "ERC20InvalidReceiver",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "sender",
        "type": "address"
      }
    ],
    "name": "ERC20InvalidSender",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "spender",
        "type": "address"
      }
    ],
    "name": "ERC20InvalidSpender",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "caller",
        "type": "address"
      }
    ],
    "name": "NotMinter",
    "type": "error"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "owner",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "spender",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "value",
        "type": "uint256"
      }
    ],
    "name": "Approval",
    "type": "event"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "from",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "indexed": false,
        "internalType": "uint256",
        "name": "value",
        "type": "uint256"
      }
    ],
    "name": "Transfer",
    "type": "event"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "owner",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "spender",
        "type": "address"
      }
    ],
    "name": "allowance",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "spender",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "value",
        "type": "uint256"
      }
    ],
    "name": "approve",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "account",
        "type": "address"
      }
    ],
    "name": "balanceOf",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "decimals",
    "outputs": [
      {
        "internalType": "uint8",
        "name": "",
        "type": "uint8"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "amount",
        "type": "uint256"
      }
    ],
    "name": "mint",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "name",
    "outputs": [
      {
        "internalType": "string",
        "name": "",
        "type": "string"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "symbol",
    "outputs": [
      {
        "internalType": "string",
        "name": "",
        "type": "string"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [],
    "name": "totalSupply",
    "outputs": [
      {
        "internalType": "uint256",
        "name": "",
        "type": "uint256"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "value",
        "type": "uint256"
      }
    ],
    "name": "transfer",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "from",
        "type": "address"
      },
      {
        "internalType": "address",
        "name": "to",
        "type": "address"
      },
      {
        "internalType": "uint256",
        "name": "value",
        "type": "uint256"
      }
    ],
    "name": "transferFrom",
    "outputs": [
      {
        "internalType": "bool",
        "name": "",
        "type": "bool"
      }
    ],
    "stateMutability": "nonpayable",
    "type": "function"
  }
] as const;

export const testTokenBytecode =
  '0x60c060405234801561001057600080fd5b50604051610d49380380610d4983398101604081905261002f91610118565b8282600361003d8382610231565b50600461004a8282610231565b5050336080525060ff1660a052506102f39050565b634e487b7160e01b600052604160045260246000fd5b600082601f83011261008657600080fd5b81516001600160401b0381111561009f5761009f61005f565b604051601f8201601f19908116603f011681016001600160401b03811182821017156100cd576100cd61005f565b6040528181528382016020018510156100e557600080fd5b60005b82811015610104576020818601810151838301820152016100e8565b506000918101602001919091529392505050565b60008060006060848603121561012d57600080fd5b83516001600160401b0381111561014357600080fd5b61014f86828701610075565b602086015190945090506001600160401b0381111561016d57600080fd5b61017986828701610075565b925050604084015160ff8116811461019057600080fd5b809150509250925092565b600181811c908216806101af57607f821691505b6020821081036101cf57634e487b7160e01b600052602260045260246000fd5b50919050565b601f82111561022c578282111561022c57806000526020600020601f840160051c6020851015610203575060005b90810190601f840160051c0360005b8181101561022857600083820155600101610212565b5050505b505050565b81516001600160401b0381111561024a5761024a61005f565b61025e81610258845461019b565b846101d5565b6020601f821160018114610292576000831561027a5750848201515b600019600385901b1c1916600184901b1784556102ec565b600084815260208120601f198516915b828110156102c257878501518255602094850194600190920191016102a2565b50848210156102e05786840151600019600387901b60f8161c191681555b505060018360011b0184555b5050505050565b60805160a051610a316103186000396000610130015260006102ee0152610a316000f3fe608060405234801561001057600080fd5b50600436106100be5760003560e01c806340c10f191161007657806395d89b411161005b57806395d89b41146101a5578063a9059cbb146101ad578063dd62ed3e146101c057600080fd5b806340c10f191461015a57806370a082311461016f57600080fd5b806318160ddd116100a757806318160ddd1461010457806323b872dd14610116578063313ce5671461012957600080fd5b806306fdde03146100c3578063095ea7b3146100e1575b600080fd5b6100cb610206565b6040516100d89190610853565b60405180910390f35b6100f46100ef3660046108e8565b610298565b60405190151581526020016100d8565b6002545b6040519081526020016100d8565b6100f4610124366004610912565b6102b2565b60405160ff7f00000000000000000000000000000000000000000000000000000000000000001681526020016100d8565b61016d6101683660046108e8565b6102d6565b005b61010861017d36600461094f565b73ffffffffffffffffffffffffffffffffffffffff1660009081526020819052604090205490565b6100cb61035a565b6100f46101bb3660046108e8565b610369565b6101086101ce366004610971565b73ffffffffffffffffffffffffffffffffffffffff918216600090815260016020908152604080832093909416825291909152205490565b606060038054610215906109a4565b80601f0160208091040260200160405190810160405280929190818152602001828054610241906109a4565b801561028e5780601f106102635761010080835404028352916020019161028e565b820191906000526020600020905b81548152906001019060200180831161027157829003601f168201915b5050505050905090565b6000336102a6818585610377565b60019150505b92915050565b6000336102c0858285610389565b6102cb858585610459565b506001949350505050565b3373ffffffffffffffffffffffffffffffffffffffff7f0000000000000000000000000000000000000000000000000000000000000000161461034c576040517f361c31f20000000000000000000000000000000000000000000000000000000081523360048201526024015b60405180910390fd5b6103568282610504565b5050565b606060048054610215906109a4565b6000336102a6818585610459565b6103848383836001610560565b505050565b73ffffffffffffffffffffffffffffffffffffffff8381166000908152600160209081526040808320938616835292905220547fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8110156104535781811015610444576040517ffb8f41b200000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff841660048201526024810182905260448101839052606401610343565b61045384848484036000610560565b50505050565b73ffffffffffffffffffffffffffffffffffffffff83166104a9576040517f96c6fd1e00000000000000000000000000000000000000000000000000000000815260006004820152602401610343565b73ffffffffffffffffffffffffffffffffffffffff82166104f9576040517fec442f0500000000000000000000000000000000000000000000000000000000815260006004820152602401610343565b6103848383836106a8565b73ffffffffffffffffffffffffffffffffffffffff8216610554576040517fec442f0500000000000000000000000000000000000000000000000000000000815260006004820152602401610343565b610356600083836106a8565b73ffffffffffffffffffffffffffffffffffffffff84166105b0576040517fe602df0500000000000000000000000000000000000000000000000000000000815260006004820152602401610343565b73ffffffffffffffffffffffffffffffffffffffff8316610600576040517f94280d6200000000000000000000000000000000000000000000000000000000815260006004820152602401610343565b73ffffffffffffffffffffffffffffffffffffffff80851660009081526001602090815260408083209387168352929052208290558015610453578273ffffffffffffffffffffffffffffffffffffffff168473ffffffffffffffffffffffffffffffffffffffff167f8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b9258460405161069a91815260200190565b60405180910390a350505050565b73ffffffffffffffffffffffffffffffffffffffff83166106e05780600260008282546106d591906109f7565b909155506107929050565b73ffffffffffffffffffffffffffffffffffffffff831660009081526020819052604090205481811015610766576040517fe450d38c00000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff851660048201526024810182905260448101839052606401610343565b73ffffffffffffffffffffffffffffffffffffffff841660009081526020819052604090209082900390555b73ffffffffffffffffffffffffffffffffffffffff82166107bb576002805482900390556107e7565b73ffffffffffffffffffffffffffffffffffffffff821660009081526020819052604090208054820190555b8173ffffffffffffffffffffffffffffffffffffffff168373ffffffffffffffffffffffffffffffffffffffff167fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef8360405161084691815260200190565b60405180910390a3505050565b602081526000825180602084015260005b818110156108815760208186018101516040868401015201610864565b5060006040828501015260407fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0601f83011684010191505092915050565b803573ffffffffffffffffffffffffffffffffffffffff811681146108e357600080fd5b919050565b600080604083850312156108fb57600080fd5b610904836108bf565b946020939093013593505050565b60008060006060848603121561092757600080fd5b610930846108bf565b925061093e602085016108bf565b929592945050506040919091013590565b60006020828403121561096157600080fd5b61096a826108bf565b9392505050565b6000806040838503121561098457600080fd5b61098d836108bf565b915061099b602084016108bf565b90509250929050565b600181811c908216806109b857607f821691505b6020821081036109f1577f4e487b7100000000000000000000000000000000000000000000000000000000600052602260045260246000fd5b50919050565b808201808211156102ac577f4e487b7100000000000000000000000000000000000000000000000000000000600052601160045260246000fd';
